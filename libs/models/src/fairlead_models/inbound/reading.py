"""Reading a caller's body: every check says in the caller's words what was wrong, where, and what is expected."""

from typing import Any, cast

import orjson

from fairlead_models.errors import InvalidRequest
from fairlead_models.unified import ImagePart

KINDS = {"list": "an array", "str": "a string", "NoneType": "null", "bool": "a boolean", "dict": "an object"}


def load(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises InvalidRequest."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}. Send a JSON object.") from error
    if not isinstance(raw, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {kind(raw)}.")
    return raw


def kind(value: object) -> str:
    """What ``value`` is, in the words of JSON."""
    return KINDS.get(type(value).__name__, "a number")


def model_of(raw: dict[str, Any]) -> str:
    """The model asked for. Raises InvalidRequest."""
    model = raw.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' must be a string: the name of a model, see GET /v1/models.", "model")
    return model


def record(value: object, where: str) -> dict[str, Any]:
    """An object. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"'{where}' must be an object, not {kind(value)}.", where)
    return value


def records(value: object, where: str) -> list[dict[str, Any]]:
    """A list of objects; missing or null is an empty one. Raises InvalidRequest."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidRequest(f"'{where}' must be a list, not {kind(value)}.", where)
    for position, each in enumerate(value):
        record(each, f"{where}[{position}]")
    return value


def text(raw: dict[str, Any], name: str, where: str) -> str:
    """A string that must be there. Raises InvalidRequest."""
    value = raw.get(name)
    if not isinstance(value, str):
        raise InvalidRequest(f"'{where}.{name}' must be a string.", f"{where}.{name}")
    return value


def optional_text(raw: dict[str, Any], name: str) -> str | None:
    """A string or nothing. Raises InvalidRequest."""
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"'{name}' must be a string.", name)
    return value


def optional_bool(raw: dict[str, Any], name: str) -> bool | None:
    """true, false or nothing. Raises InvalidRequest."""
    value = raw.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"'{name}' must be true or false.", name)
    return value


def number(raw: dict[str, Any], name: str, low: float, high: float) -> float | None:
    """A number from ``low`` to ``high``, or nothing. Raises InvalidRequest."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"'{name}' must be a number from {low:g} to {high:g}.", name)
    return value


def integer(raw: dict[str, Any], name: str, low: int | None = None) -> int | None:
    """A whole number of at least ``low``, or nothing. Raises InvalidRequest."""
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
        bound = "" if low is None else f" of at least {low}"
        raise InvalidRequest(f"'{name}' must be a whole number{bound}.", name)
    return value


def strings(value: object, name: str) -> list[str]:
    """A string or a list of strings, as a list; nothing is an empty one. Raises InvalidRequest."""
    if value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InvalidRequest(f"'{name}' must be a string or a list of strings.", name)
    return cast("list[str]", found)


def metadata_of(raw: dict[str, Any]) -> dict[str, str]:
    """``metadata`` with its values as strings. Raises InvalidRequest."""
    found = raw.get("metadata")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidRequest("'metadata' must be an object of strings.", "metadata")
    return {str(name): str(value) for name, value in found.items()}


def image_at(url: str, detail: str | None, where: str) -> ImagePart:
    """An image by URL, or by data URL as its data. Raises InvalidRequest."""
    if not url.startswith("data:"):
        return ImagePart(url=url, detail=detail)
    media_type, data = data_url(url, where)
    return ImagePart(data=data, media_type=media_type, detail=detail)


def data_url(url: str, where: str) -> tuple[str, str]:
    """(media type, base64 data) of a data URL. Raises InvalidRequest."""
    head, _, data = url.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if encoding.rpartition(";")[2] != "base64" or not data:
        raise InvalidRequest(
            f"'{where}.url' must be an http(s) URL or data:<type>;base64,<data>.", f"{where}.url"
        )
    return media_type, data
