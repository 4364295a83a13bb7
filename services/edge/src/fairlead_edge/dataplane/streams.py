"""Streamed chats: failover that nobody sees until the first token; then passed on to the end, and a break is said.

A workspace can have broken answers continued: another target gets the text so far and goes on with it. Never inside a
tool call, JSON or thinking, which a second model cannot take up in the middle.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from fairlead_common.decisions.plan import Step
from fairlead_common.outcomes import CallState
from fairlead_models.client import ProviderClient
from fairlead_models.continuation import continued, handover
from fairlead_models.errors import ProviderError
from fairlead_models.inbound.protocol import StreamRenderer
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.unified import ChatRequest

from fairlead_edge.dataplane.answers import NoAnswer, ServedBy
from fairlead_edge.dataplane.attempts import Attempts
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.opening import Opening, Openings, Part
from fairlead_edge.dataplane.runner import Runner
from fairlead_edge.dataplane.seam import Seam
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.messages import STOPPING, ResponseWriter

SSE: Final = "text/event-stream; charset=utf-8"
MAX_CONTINUATIONS: Final = 2
"""An answer in four pieces has its reasons, and a fourth provider will not cure them."""


@dataclass(slots=True)
class Job:
    """One call whose answer is streamed."""

    request: ChatRequest
    call: RunningCall
    attempts: Attempts
    writer: ResponseWriter
    may_continue: bool
    """Another target may go on with the answer when it breaks."""


class Streams:
    """The handler of one process."""

    def __init__(self, fleet: Fleet, clients: Mapping[str, ProviderClient], runner: Runner) -> None:
        self._fleet = fleet
        self._clients = clients
        self._runner = runner
        self._openings = Openings(fleet, clients, runner)

    async def answer(self, job: Job) -> None:
        """Stream the answer. Raises NoAnswer when nobody gives a first token."""
        call = job.call
        part = await self._openings.first(Opening(call, job.attempts, lambda step: job.request))
        call.answering(part.step)
        target = str(part.step.target)
        renderer = call.format.stream_renderer(job.request, call.call_id, target, int(unix_now()))
        try:
            await self._to_the_end(job, part, renderer)
        except asyncio.CancelledError as error:
            if STOPPING in error.args and not call.recorded:
                self._broke(job, renderer, "the edge stops.", "edge_stopping")
            raise

    async def _to_the_end(self, job: Job, part: Part, renderer: StreamRenderer) -> None:
        warnings = part.stream.warnings
        job.writer.start(200, ServedBy(job.call, part.step, warnings, None).headers(SSE))
        begin = renderer.begin()
        while True:
            try:
                await self._pass_on(part, begin, renderer, job.writer)
            except ProviderError as error:
                self._estimate(job, part)
                job.attempts.failed(part.step.target, part.attempt, error)
                following = await self._continuation(job, part)
                if following is None:
                    self._broke(job, renderer, error.message, error.error_class.value)
                    return
                part, begin = following, renderer.resume(str(following.step.target))
            except asyncio.CancelledError:
                self._estimate(job, part)
                job.attempts.abandoned(part.step.target, part.attempt)
                raise
            else:
                self._complete(job, part, renderer)
                return

    @staticmethod
    async def _pass_on(part: Part, begin: bytes, renderer: StreamRenderer, writer: ResponseWriter) -> None:
        """Everything until the stream's regular end. Raises ProviderError when it has another."""
        chunks, ended, seam = part.chunks, part.ended, part.seam
        try:
            while True:
                part.seen.note(chunks)
                passed = chunks if seam is None else seam.pass_on(chunks)
                await writer.write(begin + b"".join([renderer.chunk(chunk) for chunk in passed]))
                begin = b""
                if ended:
                    return
                chunks = await part.stream.next()
                ended = not chunks
        finally:
            part.stream.close()

    async def _continuation(self, job: Job, broken: Part) -> Part | None:
        """The next part of an answer that broke, or None when it cannot be continued, or nobody does."""
        call = job.call
        if not job.may_continue or call.continued == MAX_CONTINUATIONS or not broken.can_be_continued:
            return None
        text = broken.text
        used = call.usage.output_tokens if call.usage is not None else None

        def asking(step: Step) -> ChatRequest:
            wire = self._clients[step.target.provider].wire.name
            way = handover(job.request, wire, step.target.model)
            return continued(job.request, text, way, used or 0)

        try:
            part = await self._openings.next(Opening(call, job.attempts, asking))
        except NoAnswer:
            return None
        target = part.step.target
        part.seam = Seam(text, handover(job.request, self._clients[target.provider].wire.name, target.model))
        call.continued += 1
        self._runner.metrics.stream_broke(continued=True)
        call.answering(part.step)
        return part

    def _complete(self, job: Job, part: Part, renderer: StreamRenderer) -> None:
        """The answer has come to its regular end."""
        call, stream, usage = job.call, part.stream, part.seen.usage
        cost = cost_usd(usage, job.attempts.price(part.step.target))
        call.served(part.attempt, usage, cost, part.seen.finish, stream.status, stream.provider_request_id)
        self._runner.record(call, CallState.OK, 200)
        asked = usage.input_tokens if part.seam is None else None
        job.attempts.succeeded(part.step.target, stream.rate_limits, asked, usage.cached_input_tokens)
        job.writer.end(renderer.done(call.usage or usage))

    def _broke(self, job: Job, renderer: StreamRenderer, why: str, code: str) -> None:
        """The answer ends here, and the caller is told."""
        self._runner.metrics.stream_broke(continued=False)
        self._runner.record(job.call, CallState.TRUNCATED, 200, code)
        job.writer.end(renderer.error(f"The stream broke: {why}", "stream_error", code))

    def _estimate(self, job: Job, part: Part) -> None:
        """Account for a part that did not come to its end, by what came of it where its provider has not told yet."""
        usage = part.seen.usage
        told = part.seen.finish is not None and usage.output_tokens is not None
        if not told:
            usage = replace(
                usage,
                input_tokens=usage.input_tokens
                or self._fleet.ratios.corrected(part.step.target, estimate_tokens(part.request)),
                output_tokens=max(usage.output_tokens or 0, part.seen.output_tokens),
            )
        cost = cost_usd(usage, job.attempts.price(part.step.target))
        job.call.gave(part.attempt, usage, cost, estimated=not told)
