"""Embeddings of the Gemini API: a batch of one request per text, also for a single text."""

from typing import Any

from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, Unhonoured
from fairlead_models.wires.fitting import embedding_extras, texts_only
from fairlead_models.wires.google.decode import usage_of
from fairlead_models.wires.protocol import Headers, load_object, malformed
from fairlead_models.wires.reading import SHAPE_ERRORS, numbers, records

TASKS = {
    "search_document": "RETRIEVAL_DOCUMENT",
    "search_query": "RETRIEVAL_QUERY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}


def body_of(request: EmbeddingRequest, model: str) -> tuple[dict[str, Any], list[Unhonoured]]:
    """(body, warnings). Raises ProviderError(UNSUPPORTED) for inputs given as tokens."""
    warnings = embedding_extras(request)
    if request.user is not None:
        warnings.append(Unhonoured("user", "not offered by the Gemini API"))
    task = TASKS.get(request.input_type or "")
    if request.input_type is not None and task is None:
        warnings.append(Unhonoured("input_type", f"'{request.input_type}' is not one of {', '.join(TASKS)}"))
    rows = []
    for text in texts_only(request):
        row: dict[str, Any] = {
            "model": f"models/{model}",
            "content": {"role": "user", "parts": [{"text": text}]},
        }
        if task is not None:
            row["taskType"] = task
        if request.dimensions is not None:
            row["outputDimensionality"] = request.dimensions
        rows.append(row)
    return {"requests": rows}, warnings


def response_of(headers: Headers, body: bytes, count: int) -> EmbeddingResponse:
    """The answer. Raises ProviderError(MALFORMED)."""
    found = load_object(body, "the answer")
    try:
        rows = records(found["embeddings"] if "embeddings" in found else [found["embedding"]])
        vectors = [numbers(row["values"]) for row in rows]
        if len(vectors) != count:
            raise ValueError(f"expected {count} vectors, found {len(vectors)}")
    except SHAPE_ERRORS as error:
        raise malformed("the answer", error) from error
    usage = usage_of(found.get("usageMetadata"))
    if usage.input_tokens is not None:
        usage.output_tokens = 0
    return EmbeddingResponse(vectors, usage)
