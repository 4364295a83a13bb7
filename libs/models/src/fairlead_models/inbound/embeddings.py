"""The OpenAI embeddings format as callers send it, and as they get their answers."""

from typing import Any, cast

import orjson

from fairlead_models.embeddings import encoded_floats
from fairlead_models.errors import InvalidRequest
from fairlead_models.inbound import reading
from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse

KNOWN = frozenset("model input dimensions encoding_format user input_type".split())
MOST_INPUTS = 2048


def parse(body: bytes) -> EmbeddingRequest:
    """The request in ``body``. ``input_type`` is Fairlead's addition: what the vectors are for, where a provider asks.

    Raises:
        InvalidRequest: with the path of the wrong field in ``param``.
    """
    raw = reading.load(body)
    encoding = raw.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise InvalidRequest("'encoding_format' must be float or base64.", "encoding_format")
    return EmbeddingRequest(
        reading.model_of(raw),
        _inputs(raw.get("input")),
        dimensions=reading.integer(raw, "dimensions", 1),
        base64=encoding == "base64",
        user=reading.optional_text(raw, "user"),
        input_type=reading.optional_text(raw, "input_type"),
        extra={name: value for name, value in raw.items() if name not in KNOWN and value is not None},
    )


def _inputs(raw: object) -> list[str] | list[list[int]]:
    wanted = "'input' must be a text, a list of texts, or the same as tokens; none of them empty."
    if isinstance(raw, str):
        raw = [raw]
    if not isinstance(raw, list) or not raw:
        raise InvalidRequest(wanted, "input")
    if all(type(each) is int for each in raw):
        raw = [raw]
    if len(raw) > MOST_INPUTS:
        raise InvalidRequest(f"'input' must be at most {MOST_INPUTS} texts, found {len(raw)}.", "input")
    if all(isinstance(each, str) and each for each in raw):
        return cast("list[str]", raw)
    if all(isinstance(each, list) and each and all(type(token) is int for token in each) for each in raw):
        return cast("list[list[int]]", raw)
    raise InvalidRequest(wanted, "input")


def render(response: EmbeddingResponse, request: EmbeddingRequest, target: str) -> bytes:
    """The answer as the caller gets it; ``target`` is who gave it."""
    rows: list[dict[str, Any]] = [
        {
            "object": "embedding",
            "index": index,
            "embedding": encoded_floats(vector) if request.base64 else vector,
        }
        for index, vector in enumerate(response.vectors)
    ]
    given = response.usage.input_tokens
    usage = None if given is None else {"prompt_tokens": given, "total_tokens": given}
    return orjson.dumps({"object": "list", "data": rows, "model": target, "usage": usage})
