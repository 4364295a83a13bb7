"""The beginning of a stream: target after target until one has given its first token; a late one may get company."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fairlead_common.decisions.plan import Reason, Step
from fairlead_models.answers import ChunkStream
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.tokens import text_tokens
from fairlead_models.unified import ChatChunk, ChatRequest, FinishReason, Usage

from fairlead_edge.dataplane.attempts import Attempts
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.runner import Runner
from fairlead_edge.dataplane.seam import Seam
from fairlead_edge.fleet import Fleet

Asking = Callable[[Step], ChatRequest]
"""What a target is asked."""


class Seen:
    """What a stream has told so far."""

    __slots__ = ("finish", "in_text", "pieces", "plain", "thoughts", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.finish: FinishReason | None = None
        self.pieces: list[str] = []
        """The text."""
        self.thoughts: list[str] = []
        self.in_text = False
        """Text came last."""
        self.plain = True
        """Nothing has begun that is neither text nor thinking."""

    @property
    def output_tokens(self) -> int:
        """Estimate for all that has come."""
        return round(text_tokens("".join(self.pieces)) + text_tokens("".join(self.thoughts)))

    def note(self, chunks: list[ChatChunk]) -> None:
        """Remember what is in ``chunks``."""
        for chunk in chunks:
            if chunk.text:
                self.pieces.append(chunk.text)
                self.in_text = True
            elif chunk.reasoning or chunk.thought is not None:
                self.thoughts.append(chunk.reasoning or "")
                self.in_text = False
            if chunk.tool_calls or chunk.refusal:
                self.plain = False
            if chunk.usage is not None:
                self.usage = chunk.usage
            if chunk.finish_reason is not None:
                self.finish = chunk.finish_reason


@dataclass(slots=True)
class Part:
    """What one target gives of an answer: a stream that has given its first token (or its regular end)."""

    request: ChatRequest
    stream: ChunkStream
    chunks: list[ChatChunk]
    """Those that came until then."""
    step: Step
    attempt: dict[str, Any]
    ended: bool
    seen: Seen = field(default_factory=Seen)
    seam: Seam | None = None
    """None: it is the answer's first part."""

    @property
    def text(self) -> str:
        """All that the caller has of the answer."""
        return self.seam.text if self.seam is not None else "".join(self.seen.pieces)

    @property
    def can_be_continued(self) -> bool:
        """It broke inside of text, and nothing else than text has come that would have to be gone on with."""
        inside = self.seen.in_text or self.seam is not None
        return inside and self.seen.plain and self.seen.finish is None and bool(self.text.strip())


class Begun(NamedTuple):
    """An attempt under way."""

    step: Step
    attempt: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opening:
    """The search for the first token of one call."""

    call: RunningCall
    attempts: Attempts
    asking: Asking


class Openings:
    """One per process."""

    def __init__(self, fleet: Fleet, clients: Mapping[str, ProviderClient], runner: Runner) -> None:
        self._fleet = fleet
        self._clients = clients
        self._hedging = runner.hedging
        self._metrics = runner.metrics

    async def first(self, opening: Opening) -> Part:
        """The answer's first part, hedged where that is due. Raises NoAnswer when nobody gives a token."""
        self._hedging.earn()
        async for step in opening.attempts:
            begun = Begun(step, opening.attempts.begin(step))
            patience_s = self._hedging.patience_s(step.target)
            if patience_s is None:
                part = await self._tried(opening, begun)
            else:
                part = await self._raced(opening, begun, patience_s)
            if part is not None:
                return part
        raise opening.attempts.exhausted()

    async def next(self, opening: Opening) -> Part:
        """A part that goes on with an answer. Raises NoAnswer when nobody gives a token."""
        async for planned in opening.attempts:
            step = planned._replace(reason=Reason.CONTINUATION)
            part = await self._tried(opening, Begun(step, opening.attempts.begin(step)))
            if part is not None:
                return part
        raise opening.attempts.exhausted()

    async def _tried(self, opening: Opening, begun: Begun) -> Part | None:
        """What the attempt gives, or None when it fails."""
        attempts, (step, attempt) = opening.attempts, begun
        try:
            return await self._open(opening, step, attempt)
        except ProviderError as error:
            attempts.failed(step.target, attempt, error)
            return None
        except asyncio.CancelledError:
            attempts.abandoned(step.target, attempt)
            raise
        finally:
            attempts.ended(attempt)

    async def _open(self, opening: Opening, step: Step, attempt: dict[str, Any]) -> Part:
        request, client = opening.asking(step), self._clients[step.target.provider]
        await opening.attempts.strike(step.target, attempt)
        timeouts = opening.attempts.timeouts(step.target, client.spec.timeouts, stream=True)
        token_by = asyncio.get_running_loop().time() + timeouts.first_byte_s
        stream = await client.open_stream(request, step.target.model, timeouts)
        chunks: list[ChatChunk] = []
        try:
            while found := await stream.next(token_by):
                chunks += found
                if stream.failure is None and any(chunk.has_token for chunk in found):
                    opening.call.first_token(attempt)
                    break
        except BaseException:
            stream.close()
            raise
        return Part(request, stream, chunks, step, attempt, ended=not found)

    # hedges

    async def _raced(self, opening: Opening, first: Begun, patience_s: float) -> Part | None:
        """What the quicker of the attempt and its hedge gives, if it got one; None when both fail."""
        loop = asyncio.get_running_loop()
        race = {loop.create_task(self._tried(opening, first)): first}
        part: Part | None = None
        try:
            done, _ = await asyncio.wait(race, timeout=patience_s)
            self._hedging.note(first.step.target, late=not done, now=loop.time())
            if not done and (second := self._second(opening, first, loop.time())) is not None:
                race[loop.create_task(self._tried(opening, second))] = second
            part = await _quickest(list(race))
            return part
        finally:
            await self._lose(opening, race, part)
            if len(race) > 1:
                self._metrics.hedged(won=part is not None and part.attempt is not first.attempt)

    def _second(self, opening: Opening, late: Begun, now: float) -> Begun | None:
        """The hedge, if there is somebody for it and it is granted."""
        step = opening.attempts.beside(lambda: self._hedging.granted(late.step.target, now))
        return None if step is None else Begun(step, opening.attempts.begin(step))

    async def _lose(
        self, opening: Opening, race: dict["asyncio.Task[Part | None]", Begun], winner: Part | None
    ) -> None:
        """End whoever has not won; what he was asked is billed all the same, as far as we can tell."""
        for task in race:
            task.cancel()
        results = await asyncio.gather(*race, return_exceptions=True)
        for found, (step, attempt) in zip(results, race.values(), strict=True):
            if isinstance(found, Part) and found is not winner:
                found.stream.close()
                opening.attempts.abandoned(step.target, attempt)
            elif not isinstance(found, asyncio.CancelledError):
                continue
            estimated = estimate_tokens(opening.asking(step))
            usage = Usage(self._fleet.ratios.corrected(step.target, estimated), 0)
            cost = cost_usd(usage, opening.attempts.price(step.target))
            opening.call.billed(attempt, usage, cost, estimated=True)


async def _quickest(tasks: list["asyncio.Task[Part | None]"]) -> Part | None:
    """The first part that there is; None when all attempts fail."""
    waiting = set(tasks)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done and (part := task.result()) is not None:
                return part
    return None
