"""``POST /v1/chat/completions``: plan, try target after target, answer. Failures before the first token stay unseen."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fairlead_common.decisions.plan import NoCapacity, Plan, RouteRequest, Step
from fairlead_common.decisions.routing import make_plan
from fairlead_common.outcomes import Bucket, CallState, ErrorClass
from fairlead_models.client import Answer, ChunkStream, ProviderClient
from fairlead_models.errors import InvalidRequest, ProviderError
from fairlead_models.inbound import openai_chat
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.unified import ChatChunk, ChatRequest, FinishReason, Usage

from fairlead_edge.dataplane.answers import NoAnswer, ServedBy, error_of, refuse
from fairlead_edge.dataplane.budget import RetryBudget
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.fleet import DEFAULT_TABLE, Fleet, unix_now
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_edge.metrics import EdgeMetrics
from fairlead_edge.outcomes.journal import Journal

SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Bounds:
    """Time bounds of requests, in seconds."""

    request_s: float
    whole_answer_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that has given its first token (or its regular end), and the chunks that came until then."""

    stream: ChunkStream
    chunks: list[ChatChunk]
    step: Step
    attempt: dict[str, Any]
    ended: bool


class ChatCompletions:
    """The handler of one process."""

    def __init__(
        self,
        fleet: Fleet,
        clients: Mapping[str, ProviderClient],
        journal: Journal,
        metrics: EdgeMetrics,
        bounds: Bounds,
    ) -> None:
        self._fleet = fleet
        self._clients = clients
        self._journal = journal
        self._metrics = metrics
        self._bounds = bounds
        self._budget = RetryBudget()

    async def handle(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        """Answer one authenticated request, and journal what became of it, however it ends."""
        self._budget.active += 1
        try:
            request = openai_chat.parse(http.body)
            call.body["requested_model"] = request.model
            call.body["stream"] = request.stream
            call.plan = self._plan(request, workspace_id)
            if request.stream:
                await self._stream(request, call, writer)
            else:
                await self._whole(request, call, writer)
        except InvalidRequest as error:
            self.record(call, CallState.REJECTED, error.status, error.code or "invalid_request")
            refuse(writer, call, error_of(error))
        except NoAnswer as error:
            state = CallState.REJECTED if error.status < 500 and not call.attempts else CallState.FAILED
            self.record(call, state, error.status, error.code)
            refuse(writer, call, error)
        except asyncio.CancelledError:
            if not call.recorded:
                self.record(call, CallState.ABORTED, 499, "caller_gone")
            raise
        finally:
            self._budget.active -= 1

    def record(self, call: RunningCall, state: CallState, status: int, error_code: str | None = None) -> None:
        """Journal the call; done before the end of the answer, so that no answered call can be missing."""
        self._journal.append(call.finish(state, status, error_code))
        self._metrics.call_ended(call, state)

    def _plan(self, request: ChatRequest, workspace_id: int) -> Plan:
        fleet, now = self._fleet, unix_now()
        wanted = RouteRequest(
            request.model,
            workspace_id,
            request.needs(),
            estimate_tokens(request),
            request.max_output_tokens,
            request.stream,
            request.metadata,
        )
        found = make_plan(
            fleet.tables.get(workspace_id, DEFAULT_TABLE),
            fleet.policies.get(workspace_id),
            wanted,
            fleet.catalog.candidates(request.model),
            fleet.view(now),
            now,
            random.random(),  # noqa: S311 - spreads load, guards no secret
        )
        if isinstance(found, NoCapacity):
            raise NoAnswer(found.status, found.code, found.message, found.retry_after_s)
        return found

    # answers that are not streamed

    async def _whole(self, request: ChatRequest, call: RunningCall, writer: ResponseWriter) -> None:
        answer, step = await self._first_answer(request, call)
        response = answer.response
        usage = response.usage
        attempt = call.attempts[-1]
        price = self._fleet.catalog.price(step.target)
        cost = cost_usd(usage, price)
        finish = response.choices[0].finish_reason
        call.served(attempt, usage, cost, finish, answer.status, response.provider_request_id)
        call.answering(step)
        served = ServedBy(call, step, answer.warnings, cost)
        body = openai_chat.render(response, call.call_id, str(step.target))
        self.record(call, CallState.OK, 200)
        writer.send(200, served.headers("application/json"), body)

    async def _first_answer(self, request: ChatRequest, call: RunningCall) -> tuple[Answer, Step]:
        last: ProviderError | None = None
        for step in self._steps(call):
            attempt = self._begin(call, step)
            try:
                answer = await self._clients[step.target.provider].chat(
                    request, step.target.model, self._timeouts(step, call, stream=False)
                )
            except ProviderError as error:
                last = self._failed(call, step, attempt, error)
                if not error.retryable:
                    break
            except asyncio.CancelledError:
                call.abandoned(attempt)
                raise
            else:
                self._fleet.outcome(step.target, None, unix_now(), 0.0)
                return answer, step
            finally:
                self._ended(call)
        raise self._exhausted(call, last)

    # streams

    async def _stream(self, request: ChatRequest, call: RunningCall, writer: ResponseWriter) -> None:
        opened = await self._first_token(request, call)
        call.answering(opened.step)
        created = int(unix_now())
        renderer = openai_chat.StreamRenderer(
            call.call_id, str(opened.step.target), created, include_usage=request.include_usage
        )
        writer.start(200, ServedBy(call, opened.step, opened.stream.warnings, None).headers(SSE))
        seen = _Seen()
        try:
            chunks, ended = opened.chunks, opened.ended
            while True:
                await writer.write(b"".join(renderer.chunk(chunk) for chunk in seen.note(chunks)))
                if ended:
                    break
                chunks = await opened.stream.next()
                ended = not chunks
        except ProviderError as error:
            self._broke(call, opened, seen, error)
            await writer.write(
                renderer.error(f"The stream broke: {error.message}", "stream_error", error.error_class)
            )
            writer.end()
            return
        except asyncio.CancelledError:
            self._left(call, opened, seen)
            raise
        finally:
            opened.stream.close()
        self._streamed(call, opened, seen)
        await writer.write(renderer.done(seen.usage))
        writer.end()

    async def _first_token(self, request: ChatRequest, call: RunningCall) -> Opened:
        last: ProviderError | None = None
        for step in self._steps(call):
            attempt = self._begin(call, step)
            try:
                return await self._open(request, call, step, attempt)
            except ProviderError as error:
                last = self._failed(call, step, attempt, error)
                if not error.retryable:
                    break
            except asyncio.CancelledError:
                call.abandoned(attempt)
                raise
            finally:
                self._ended(call)
        raise self._exhausted(call, last)

    async def _open(
        self, request: ChatRequest, call: RunningCall, step: Step, attempt: dict[str, Any]
    ) -> Opened:
        client = self._clients[step.target.provider]
        stream = await client.open_stream(request, step.target.model, self._timeouts(step, call, stream=True))
        chunks: list[ChatChunk] = []
        try:
            while True:
                found = await stream.next()
                chunks += found
                if not found or any(chunk.has_token for chunk in found):
                    break
        except BaseException:
            stream.close()
            raise
        call.ttft_ms = round(call.elapsed_ms, 3)
        attempt["ttft_ms"] = round(call.ttft_ms - attempt["offset_ms"], 3)
        return Opened(stream, chunks, step, attempt, ended=not found)

    def _streamed(self, call: RunningCall, opened: Opened, seen: "_Seen") -> None:
        target = opened.step.target
        cost = cost_usd(seen.usage, self._fleet.catalog.price(target))
        call.served(
            opened.attempt,
            seen.usage,
            cost,
            seen.finish,
            opened.stream.status,
            opened.stream.provider_request_id,
        )
        self._fleet.outcome(target, None, unix_now(), 0.0)
        self.record(call, CallState.OK, 200)

    def _broke(self, call: RunningCall, opened: Opened, seen: "_Seen", error: ProviderError) -> None:
        call.usage = seen.usage
        self._failed(call, opened.step, opened.attempt, error)
        self.record(call, CallState.TRUNCATED, 200, error.error_class)

    def _left(self, call: RunningCall, opened: Opened, seen: "_Seen") -> None:
        call.abandoned(opened.attempt)
        call.usage = seen.usage
        self.record(call, CallState.ABORTED, 499, "caller_gone")

    # what both have in common

    def _steps(self, call: RunningCall) -> "_Steps":
        return _Steps(call, self._fleet, self._budget, self._bounds)

    def _begin(self, call: RunningCall, step: Step) -> dict[str, Any]:
        self._fleet.sending(step.target, unix_now())
        if len(call.attempts) >= 1:
            self._budget.extra += 1
        return call.begin_attempt(step)

    def _ended(self, call: RunningCall) -> None:
        if len(call.attempts) > 1:
            self._budget.extra -= 1

    def _failed(
        self, call: RunningCall, step: Step, attempt: dict[str, Any], error: ProviderError
    ) -> ProviderError:
        call.failed(attempt, error)
        draw = random.random()  # noqa: S311 - jitter
        self._fleet.outcome(step.target, error.error_class, unix_now(), draw, error.retry_after_s)
        self._metrics.attempt_failed(step.target.provider, error.error_class)
        return error

    def _timeouts(self, step: Step, call: RunningCall, *, stream: bool) -> Timeouts:
        bounds = self._clients[step.target.provider].spec.timeouts
        left_s = max(0.05, self._bounds.request_s - call.elapsed_ms / 1000)
        first_s = bounds.first_byte_s if stream else self._bounds.whole_answer_s
        if left_s >= bounds.total_s and first_s == bounds.first_byte_s:
            return bounds
        return replace(bounds, first_byte_s=first_s, total_s=min(bounds.total_s, left_s))

    @staticmethod
    def _exhausted(call: RunningCall, last: ProviderError | None) -> NoAnswer:
        tried = "; ".join(
            f"{each['provider']}/{each['model']}: {each.get('error_class')}" for each in call.attempts
        )
        if last is None:
            return NoAnswer(503, "no_capacity", "No provider could be tried in time.", 5.0)
        if last.error_class is ErrorClass.BAD_REQUEST:
            return NoAnswer(
                last.status or 400, last.code or "invalid_request", last.message, None, last.param
            )
        if last.error_class is ErrorClass.UNSUPPORTED:
            return NoAnswer(400, "unsupported_content", last.message, None, last.param)
        if all(ErrorClass(each["error_class"]).bucket is Bucket.LIMIT for each in call.attempts):
            text = f"Every provider limits the rate now. {tried}"
            return NoAnswer(429, "rate_limit_exceeded", text, last.retry_after_s or 5.0)
        return NoAnswer(
            503, "no_provider_available", f"No provider could answer. {tried}", last.retry_after_s or 2.0
        )


class _Steps:
    """Iterates a plan's steps while deadline and retry budget allow, passing over targets that went bad meanwhile."""

    def __init__(self, call: RunningCall, fleet: Fleet, budget: RetryBudget, bounds: Bounds) -> None:
        self._call = call
        self._fleet = fleet
        self._budget = budget
        self._bounds = bounds
        self._left = list(call.plan.steps if call.plan else ())

    def __iter__(self) -> "_Steps":
        return self

    def __next__(self) -> Step:
        tried = len(self._call.attempts)
        if tried and (
            self._call.elapsed_ms / 1000 >= self._bounds.request_s or not self._budget.allows(tried)
        ):
            raise StopIteration
        while self._left:
            step = self._left.pop(0)
            if tried and self._left and not self._fleet.usable(step.target, unix_now()):
                continue
            return step
        raise StopIteration


class _Seen:
    """What a stream has told so far."""

    __slots__ = ("finish", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.finish: FinishReason | None = None

    def note(self, chunks: list[ChatChunk]) -> list[ChatChunk]:
        """Remember usage and finish reason; gives the chunks back."""
        for chunk in chunks:
            if chunk.usage is not None:
                self.usage = chunk.usage
            if chunk.finish_reason is not None:
                self.finish = chunk.finish_reason
        return chunks
