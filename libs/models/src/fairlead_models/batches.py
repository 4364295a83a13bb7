"""Embeddings of more inputs than a provider takes at once: one request becomes several, and their answers one."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, Usage


def split(request: EmbeddingRequest, most: int | None) -> Iterator[EmbeddingRequest]:
    """Requests of at most ``most`` inputs each, in order; None = no limit."""
    inputs = request.inputs
    if most is None or len(inputs) <= most:
        yield request
        return
    for start in range(0, len(inputs), most):
        yield replace(request, inputs=inputs[start : start + most])


def joined(responses: Sequence[EmbeddingResponse]) -> EmbeddingResponse:
    """The vectors of all, in order; the usage is unknown when it is of any."""
    first = responses[0]
    if len(responses) == 1:
        return first
    usage = Usage(
        _sum([each.usage.input_tokens for each in responses]),
        _sum([each.usage.output_tokens for each in responses]),
    )
    vectors = [vector for each in responses for vector in each.vectors]
    return replace(first, vectors=vectors, usage=usage)


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
