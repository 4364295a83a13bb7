"""Embeddings of Cohere: every vector has a purpose, and several number formats can be asked for; we ask for floats."""

from typing import Any

from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, Unhonoured, Usage
from fairlead_models.wires.fitting import embedding_extras, texts_only
from fairlead_models.wires.openai.embeddings import user_left_out
from fairlead_models.wires.protocol import Headers, load_object, malformed
from fairlead_models.wires.reading import SHAPE_ERRORS, as_int, numbers, record

PURPOSES = {
    "search_document": "search_document",
    "search_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "clustering",
}
DEFAULT_PURPOSE = "search_document"
"""The protocol demands a purpose; this is ours when the caller gave none."""


def body_of(request: EmbeddingRequest, model: str) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings). Raises ProviderError(UNSUPPORTED) for inputs given as tokens."""
    warnings = user_left_out(request, "Cohere") + embedding_extras(request)
    purpose = PURPOSES.get(request.input_type or DEFAULT_PURPOSE)
    if purpose is None:
        purpose = DEFAULT_PURPOSE
        why = f"'{request.input_type}' is not one of {', '.join(PURPOSES)}; sent as '{purpose}'"
        warnings.append(Unhonoured("input_type", why))
    body: dict[str, Any] = {
        "model": model,
        "texts": texts_only(request),
        "input_type": purpose,
        "embedding_types": ["float"],
    }
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    return body, warnings


def response_of(headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
    """The answer. Raises ProviderError(MALFORMED)."""
    found = load_object(body, "the answer")
    try:
        held = record(found["embeddings"])["float"]
        if not isinstance(held, list) or len(held) != count:
            raise ValueError(f"expected {count} vectors")
        vectors = [numbers(row) for row in held]
    except SHAPE_ERRORS as error:
        raise malformed("the answer", error) from error
    meta = found.get("meta")
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    given = as_int(billed.get("input_tokens")) if isinstance(billed, dict) else None
    usage = Usage(given, 0 if given is not None else None)
    return EmbeddingResponse(vectors, usage, None, headers.get("x-debug-trace-id"))
