"""Embeddings on the OpenAI wire, which most compatible endpoints and Mistral share."""

from typing import Any

from fairlead_models.embeddings import floats_of
from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, Unhonoured
from fairlead_models.wires.fitting import embedding_extras
from fairlead_models.wires.openai.decode import request_id_of, usage_of
from fairlead_models.wires.openai.errors import error_in_200, is_error
from fairlead_models.wires.protocol import Headers, load_object, malformed
from fairlead_models.wires.reading import SHAPE_ERRORS, as_int, label, numbers, position, records


def body_of(request: EmbeddingRequest, model: str) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings); the vectors are asked for as base64, a quarter of the bytes of decimal numbers."""
    body: dict[str, Any] = {"model": model, "input": request.inputs, "encoding_format": "base64"}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.user is not None:
        body["user"] = request.user
    return body, input_type_left_out(request) + embedding_extras(request)


def input_type_left_out(request: EmbeddingRequest) -> list[Unhonoured]:
    """The warning of wires that know only one kind of vectors."""
    if request.input_type is None:
        return []
    return [Unhonoured("input_type", "this provider knows only one kind of vectors")]


def response_of(headers: Headers, body: bytes, count: int, wire: str) -> EmbeddingResponse:
    """The answer; vectors may come as numbers although base64 was asked for. Raises ProviderError(MALFORMED)."""
    found = load_object(body, "the answer")
    if is_error(found):
        raise error_in_200(found)
    try:
        vectors = ordered(records(found["data"]), count)
    except SHAPE_ERRORS as error:
        raise malformed("the answer", error) from error
    usage = usage_of(found.get("usage"), wire)
    if usage.input_tokens is None and isinstance(found.get("usage"), dict):
        usage.input_tokens = as_int(found["usage"].get("total_tokens"))
    usage.output_tokens = 0 if usage.input_tokens is not None else None
    return EmbeddingResponse(vectors, usage, label(found.get("model")), request_id_of(headers))


def ordered(rows: list[dict[str, Any]], count: int) -> list[list[float]]:
    """The vectors in the order of the inputs; each place filled exactly once."""
    placed: dict[int, list[float]] = {}
    for place, row in enumerate(rows):
        held = row["embedding"]
        placed[position(row, place)] = floats_of(held) if isinstance(held, str) else numbers(held)
    if placed.keys() != set(range(count)) or len(rows) != count:
        raise ValueError(f"expected {count} vectors, found {len(rows)}")
    return [placed[place] for place in range(count)]


def user_left_out(request: EmbeddingRequest, vendor: str) -> list[Unhonoured]:
    """The warning of wires that take no user."""
    return [] if request.user is None else [Unhonoured("user", f"not offered by the {vendor} API")]
