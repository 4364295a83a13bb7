"""Splitting embeddings into the provider's batches and joining the answers loses and reorders nothing."""

from fairlead_models.batches import joined, split
from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, Usage
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 50), st.integers(1, 60) | st.none())
def test_every_input_is_in_one_batch_in_order(number: int, most: int | None) -> None:
    request = EmbeddingRequest("m", [str(each) for each in range(number)], dimensions=3, user="u")
    parts = list(split(request, most))
    assert [each for part in parts for each in part.inputs] == request.inputs
    assert all(0 < len(part.inputs) <= (most or number) for part in parts)
    assert {(part.dimensions, part.user) for part in parts} == {(3, "u")}


def test_answers_are_joined_and_unknown_usage_stays_unknown() -> None:
    one = EmbeddingResponse([[1.0], [2.0]], Usage(7, 0), "m", "request-1")
    other = EmbeddingResponse([[3.0]], Usage(4, 0), "m", "request-2")
    assert joined([one]) is one
    assert joined([one, other]) == EmbeddingResponse([[1.0], [2.0], [3.0]], Usage(11, 0), "m", "request-1")
    assert joined([one, EmbeddingResponse([[3.0]], Usage(None, 0))]).usage == Usage(None, 0)
