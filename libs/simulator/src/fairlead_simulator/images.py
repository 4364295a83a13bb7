"""What can be read from the first bytes of a picture: its kind and its size. Nothing is decoded."""

from dataclasses import dataclass

MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WebP": "image/webp"}


@dataclass(frozen=True)
class Picture:
    """Kind (a key of ``MEDIA_TYPES``) and size in pixels."""

    kind: str
    width: int
    height: int


def looked_at(data: bytes) -> Picture | None:
    """The picture in ``data``, or None when it is none of the four kinds."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return Picture("PNG", int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        return Picture("GIF", int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Picture | None:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height = int.from_bytes(data[position + 5 : position + 7])
            return Picture("JPEG", int.from_bytes(data[position + 7 : position + 9]), height)
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None


def _webp(data: bytes) -> Picture | None:
    if data[12:16] == b"VP8X" and len(data) >= 30:
        return Picture(
            "WebP", 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        )
    if data[12:16] == b"VP8 " and len(data) >= 30:
        width, height = int.from_bytes(data[26:28], "little"), int.from_bytes(data[28:30], "little")
        return Picture("WebP", width & 0x3FFF, height & 0x3FFF)
    if data[12:16] == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return Picture("WebP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    return None
