"""Decoding a Gemini stream. The end is a plain EOF, so complete = every candidate has its finishReason."""

from typing import Any

from fairlead_models.drift import DRIFT
from fairlead_models.failures import failed_finish
from fairlead_models.unified import ChatChunk, Choice, FinishReason, Thought, ToolCallDelta
from fairlead_models.wires.events import EventDecoder, OpenChoices
from fairlead_models.wires.google.decode import KNOWN_TOP, WIRE, CallNames, blocked, choice_of, usage_of
from fairlead_models.wires.google.errors import error_in_200
from fairlead_models.wires.protocol import truncated
from fairlead_models.wires.reading import label, records


class GoogleStream(EventDecoder):
    """Decoder of one stream of so many candidates."""

    __slots__ = ("_calls", "_choices", "_names")

    def __init__(self, choices: int = 1) -> None:
        super().__init__()
        self._calls: dict[int, int] = {}
        self._choices = OpenChoices(choices)
        self._names: CallNames | None = None

    def read(self, event: str, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        """See ``EventDecoder.read``."""
        if "error" in found:
            raise error_in_200(found)
        DRIFT.fields(WIRE, "chunk", found, KNOWN_TOP)
        if self._names is None:
            self._names = CallNames(found.get("responseId"))
        first = len(chunks)
        candidates = records(found.get("candidates"))
        for place, candidate in enumerate(candidates):
            self._candidate(choice_of(candidate, place, self._names), candidate, chunks)
        if not candidates and found.get("promptFeedback") is not None:
            refused = blocked(found)
            self._choices = OpenChoices(1)
            self._choices.note(0, finished=True)
            chunks.append(
                ChatChunk(
                    refusal=refused.refusal,
                    finish_reason=refused.finish_reason,
                    vendor_finish=refused.vendor_finish,
                )
            )
        if found.get("usageMetadata") is not None:
            chunks.append(ChatChunk(usage=usage_of(found["usageMetadata"])))
        for chunk in chunks[first:]:
            chunk.id = label(found.get("responseId"))

    def _candidate(self, choice: Choice, found: dict[str, Any], chunks: list[ChatChunk]) -> None:
        before = self._calls.get(choice.index, 0)
        self._calls[choice.index] = before + len(choice.tool_calls)
        finish = choice.finish_reason
        if finish is FinishReason.ERROR:
            raise failed_finish(choice.vendor_finish, in_stream=True, detail=found.get("finishMessage"))
        if finish is FinishReason.STOP and self._calls[choice.index]:
            finish = FinishReason.TOOL_CALLS
        self._choices.note(choice.index, finished=finish is not None)
        seals = [thought for thought in choice.thoughts if thought.seal is not None]
        by_call = {thought.call_id: thought for thought in seals if thought.call_id is not None}
        loose: list[Thought] = [thought for thought in seals if thought.call_id is None]
        chunks.append(ChatChunk(choice.index, choice.text, choice.reasoning, logprobs=choice.logprobs))
        for offset, call in enumerate(choice.tool_calls):
            delta = ToolCallDelta(before + offset, call.id, call.name, call.arguments)
            chunks.append(ChatChunk(choice.index, tool_calls=[delta], thought=by_call.get(call.id)))
        chunks.extend(ChatChunk(choice.index, thought=thought) for thought in loose)
        chunks[-1].finish_reason = finish
        chunks[-1].vendor_finish = choice.vendor_finish

    def check_end(self) -> None:
        """See ``EventDecoder.check_end``."""
        if not self._choices.complete:
            raise truncated("no finishReason")
