"""What the simulator needs to know of a vendor, and the little that several vendors share."""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from fairlead_simulator.answers import Answer
from fairlead_simulator.ask import Ask, Image
from fairlead_simulator.checks import Flaw, Path
from fairlead_simulator.limits import Left
from fairlead_simulator.server import Request

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Refused(Exception):
    """The vendor answers with an error; which words go where is the vendor's business."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "",
        code: str | None = None,
        param: str | None = None,
        details: Any = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.details = details
        self.retry_after_s = retry_after_s


@dataclass
class Frames:
    """A stream: what comes before the first token, the tokens, and the regular end."""

    begin: list[bytes]
    tokens: list[bytes]
    end: list[bytes]


@dataclass
class Failure:
    """An error answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Writer(Protocol):
    """How one endpoint writes a chat answer."""

    media: dict[str, str]
    """Headers of a stream."""

    def whole(self, ask: Ask, answer: Answer) -> bytes:
        """The body of an answer that is not streamed."""
        ...

    def frames(self, ask: Ask, answer: Answer) -> Frames:
        """The events of a streamed answer."""
        ...

    def error_frame(self) -> bytes:
        """An error inside a stream."""
        ...

    def strange_frame(self) -> bytes:
        """An event of a type nobody knows yet; empty where the format has no types."""
        ...


@dataclass
class Chat:
    """A request for a chat answer."""

    ask: Ask
    writer: Writer


@dataclass
class Plain:
    """A request whose answer is a JSON document: models, token counts, embeddings."""

    body: Any
    model: str | None = None
    input_tokens: int = 0
    works: bool = False
    """A model works on it, so it takes its time and can fail in the middle like a chat answer."""


@dataclass(frozen=True)
class Model:
    """What a vendor knows of one of its models. ``default_effort`` = how it thinks when nothing is said."""

    id: str
    name: str
    context: int
    output: int
    family: str = ""
    efforts: tuple[str, ...] = ()
    default_effort: str = "none"
    dimensions: int = 0
    """Numbers in an embedding; 0 = no embeddings."""
    traits: frozenset[str] = field(default_factory=frozenset)


class Vendor(Protocol):
    """One vendor's wire."""

    name: str
    models: tuple[str, ...]

    def read(self, request: Request) -> Chat | Plain:
        """What is asked. Raises Flaw and Refused."""
        ...

    def flawed(self, flaw: Flaw) -> Refused:
        """The vendor's words for a flaw."""
        ...

    def fault(self, kind: str, retry_after_s: float | None) -> Refused:
        """The vendor's error for one of ``faults.ANSWERED``."""
        ...

    def failure(self, refused: Refused, request: Request, request_id: str) -> Failure:
        """The error answer."""
        ...

    def headers(self, request_id: str, left: Left) -> dict[str, str]:
        """Headers of every answer: request id, rate limits."""
        ...


def dumps(body: Any) -> bytes:
    """Compact JSON."""
    return orjson.dumps(body)


def data(body: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + orjson.dumps(body) + b"\n\n"


def event(name: str, body: Any) -> bytes:
    """A server-sent event with a name."""
    return b"event: " + name.encode() + b"\n" + data(body)


def load(request: Request) -> dict[str, Any]:
    """The JSON object of the body. Raises Flaw of kind ``other`` or ``type``."""
    try:
        found = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Flaw("other", (), None, f"the body is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Flaw("other", (), None, "the body is not a JSON object")
    return found


def bearer(request: Request) -> str | None:
    """The key of an Authorization header."""
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if kind.lower() == "bearer" else None


def retry_headers(retry_after_s: float | None) -> dict[str, str]:
    """``Retry-After`` in whole seconds, at least 1, when there is one."""
    return {} if retry_after_s is None else {"retry-after": str(max(1, round(retry_after_s)))}


def image_of(url: str, path: Path) -> Image:
    """The picture behind a ``data:`` or ``https:`` URL. Raises Flaw."""
    if url.startswith("data:"):
        head, comma, text = url[5:].partition(",")
        media_type, _, encoding = head.partition(";")
        if not comma or encoding != "base64":
            raise Flaw("other", path, None, "the data URL is not of the form data:image/png;base64,...")
        return picture(media_type, text, path)
    if not url.startswith(("https://", "http://")):
        raise Flaw("other", path, None, f"'{url[:40]}' is neither an http nor a data URL")
    return Image(url=url)


def picture(media_type: str | None, text: str, path: Path) -> Image:
    """The picture in a base64 text. Raises Flaw when it is none."""
    try:
        found = Image(media_type=media_type, data=b64decode(text, validate=True))
    except ValueError as error:
        raise Flaw("other", path, None, "the image is not valid base64") from error
    if found.picture is None:
        raise Flaw("other", path, None, "the image is not a PNG, JPEG, GIF or WebP")
    return found


def sentence(names: tuple[str, ...]) -> str:
    """``'a', 'b', and 'c'``."""
    quoted = [f"'{name}'" for name in names]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
