"""``POST /v1/chat/completions``: plan, try target after target, answer. Failures before the first token stay unseen."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_common.decisions.plan import NoCapacity, Plan, RouteRequest, Step
from fairlead_common.outcomes import CallState
from fairlead_models.client import Answer, ChunkStream, ProviderClient
from fairlead_models.errors import InvalidRequest, ProviderError
from fairlead_models.inbound import openai_chat
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.unified import ChatChunk, ChatRequest, FinishReason, Usage

from fairlead_edge.dataplane.answers import NoAnswer, ServedBy, error_of, refuse
from fairlead_edge.dataplane.attempts import Attempts, Bounds, Surroundings
from fairlead_edge.dataplane.budget import RetryBudget
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.messages import STOPPING, Request, ResponseWriter
from fairlead_edge.metrics import EdgeMetrics
from fairlead_edge.outcomes.journal import Journal

SSE = "text/event-stream; charset=utf-8"
FAILOVER_HEADER = "x-fairlead-failover"


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
        self._budget = RetryBudget()
        self._around = Surroundings(fleet, metrics, bounds, self._budget)

    async def handle(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        """Answer one authenticated request, and journal what became of it, however it ends."""
        self._budget.active += 1
        try:
            request = openai_chat.parse(http.body)
            call.asked(request.model, stream=request.stream)
            wanted = _wanted(request, workspace_id, failover=_failover(http.headers))
            call.plan = self._plan(wanted)
            attempts = Attempts(call, wanted, call.plan, self._around)
            if request.stream:
                await self._stream(request, call, attempts, writer)
            else:
                await self._whole(request, call, attempts, writer)
        except InvalidRequest as error:
            self.record(call, CallState.REJECTED, error.status, error.code or "invalid_request")
            refuse(writer, call, error_of(error))
        except NoAnswer as error:
            state = CallState.REJECTED if error.status < 500 and not call.attempts else CallState.FAILED
            self.record(call, state, error.status, error.code)
            refuse(writer, call, error)
        except asyncio.CancelledError as error:
            self._cancelled(call, writer, stopping=STOPPING in error.args)
            raise
        finally:
            self._budget.active -= 1
            if not call.recorded:  # a bug is on its way to the log: the call is counted all the same
                self.record(call, CallState.FAILED, 500, "internal_error")

    def record(self, call: RunningCall, state: CallState, status: int, error_code: str | None = None) -> None:
        """Journal the call; done before the end of the answer, so that no answered call can be missing."""
        self._journal.append(call.finish(state, status, error_code))
        self._metrics.call_ended(call, state)

    def _cancelled(self, call: RunningCall, writer: ResponseWriter, *, stopping: bool) -> None:
        if call.recorded:
            return
        if stopping:
            self.record(call, CallState.FAILED, 503, "edge_stopping")
            text = (
                "This edge is stopping and could not wait for the answer any longer; send the request again."
            )
            refuse(writer, call, NoAnswer(503, "edge_stopping", text, 1.0))
        else:
            self.record(call, CallState.ABORTED, 499, "caller_gone")

    def _plan(self, wanted: RouteRequest) -> Plan:
        found = self._fleet.plan(wanted, unix_now(), stand_ins=False)
        if isinstance(found, NoCapacity):
            raise NoAnswer(found.status, found.code, found.message, found.retry_after_s)
        return found

    # answers that are not streamed

    async def _whole(
        self, request: ChatRequest, call: RunningCall, attempts: Attempts, writer: ResponseWriter
    ) -> None:
        answer, step = await self._first_answer(request, call, attempts)
        response = answer.response
        usage = response.usage
        cost = cost_usd(usage, self._fleet.catalog.price(step.target))
        finish = response.choices[0].finish_reason
        call.served(call.attempts[-1], usage, cost, finish, answer.status, response.provider_request_id)
        call.answering(step)
        attempts.succeeded(step.target)
        served = ServedBy(call, step, answer.warnings, cost)
        body = openai_chat.render(response, call.call_id, str(step.target))
        self.record(call, CallState.OK, 200)
        writer.send(200, served.headers("application/json"), body)

    async def _first_answer(
        self, request: ChatRequest, call: RunningCall, attempts: Attempts
    ) -> tuple[Answer, Step]:
        for step in attempts:
            attempt = attempts.begin(step)
            client = self._clients[step.target.provider]
            try:
                timeouts = attempts.timeouts(client.spec.timeouts, stream=False)
                return await client.chat(request, step.target.model, timeouts), step
            except ProviderError as error:
                attempts.failed(step.target, attempt, error)
            except asyncio.CancelledError:
                call.abandoned(attempt)
                raise
            finally:
                attempts.ended()
        raise attempts.exhausted()

    # streams

    async def _stream(
        self, request: ChatRequest, call: RunningCall, attempts: Attempts, writer: ResponseWriter
    ) -> None:
        opened = await self._first_token(request, call, attempts)
        call.answering(opened.step)
        renderer = openai_chat.StreamRenderer(
            call.call_id, str(opened.step.target), int(unix_now()), include_usage=request.include_usage
        )
        seen = _Seen()
        try:
            writer.start(200, ServedBy(call, opened.step, opened.stream.warnings, None).headers(SSE))
            await self._pass_on(opened, seen, renderer, writer)
        except ProviderError as error:
            call.usage = seen.usage
            attempts.failed(opened.step.target, opened.attempt, error)
            self.record(call, CallState.TRUNCATED, 200, error.error_class)
            text = f"The stream broke: {error.message}"
            writer.end(renderer.error(text, "stream_error", error.error_class))
        except asyncio.CancelledError as error:
            call.usage = seen.usage
            call.abandoned(opened.attempt)
            if STOPPING in error.args:
                self.record(call, CallState.TRUNCATED, 200, "edge_stopping")
                writer.end(
                    renderer.error("The stream broke: the edge stops.", "stream_error", "edge_stopping")
                )
            raise
        else:
            self._streamed(call, opened, seen)
            attempts.succeeded(opened.step.target)
            writer.end(renderer.done(seen.usage))
        finally:
            opened.stream.close()

    @staticmethod
    async def _pass_on(
        opened: Opened, seen: "_Seen", renderer: openai_chat.StreamRenderer, writer: ResponseWriter
    ) -> None:
        """Everything until the stream's regular end. Raises ProviderError when it has another."""
        chunks, ended = opened.chunks, opened.ended
        while True:
            await writer.write(b"".join([renderer.chunk(chunk) for chunk in seen.note(chunks)]))
            if ended:
                return
            chunks = await opened.stream.next()
            ended = not chunks

    async def _first_token(self, request: ChatRequest, call: RunningCall, attempts: Attempts) -> Opened:
        for step in attempts:
            attempt = attempts.begin(step)
            try:
                return await self._open(request, call, attempts, step, attempt)
            except ProviderError as error:
                attempts.failed(step.target, attempt, error)
            except asyncio.CancelledError:
                call.abandoned(attempt)
                raise
            finally:
                attempts.ended()
        raise attempts.exhausted()

    async def _open(
        self,
        request: ChatRequest,
        call: RunningCall,
        attempts: Attempts,
        step: Step,
        attempt: dict[str, Any],
    ) -> Opened:
        client = self._clients[step.target.provider]
        timeouts = attempts.timeouts(client.spec.timeouts, stream=True)
        token_by = asyncio.get_running_loop().time() + timeouts.first_byte_s
        stream = await client.open_stream(request, step.target.model, timeouts)
        chunks: list[ChatChunk] = []
        try:
            while found := await stream.next(token_by):
                chunks += found
                if any(chunk.has_token for chunk in found):
                    call.first_token(attempt)
                    break
        except BaseException:
            stream.close()
            raise
        return Opened(stream, chunks, step, attempt, ended=not found)

    def _streamed(self, call: RunningCall, opened: Opened, seen: "_Seen") -> None:
        stream = opened.stream
        cost = cost_usd(seen.usage, self._fleet.catalog.price(opened.step.target))
        call.served(opened.attempt, seen.usage, cost, seen.finish, stream.status, stream.provider_request_id)
        self.record(call, CallState.OK, 200)


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


def _wanted(request: ChatRequest, workspace_id: int, *, failover: bool) -> RouteRequest:
    return RouteRequest(
        request.model,
        workspace_id,
        request.needs(),
        estimate_tokens(request),
        request.max_output_tokens,
        request.stream,
        request.metadata,
        response_format=request.response_format.kind if request.response_format else "text",
        user=request.user or "",
        failover=failover,
    )


def _failover(headers: Mapping[str, str]) -> bool:
    """Whether the caller lets another target stand in."""
    value = headers.get(FAILOVER_HEADER, "on").strip().lower()
    if value not in ("on", "off"):
        raise InvalidRequest(f"The header {FAILOVER_HEADER} must be 'on' or 'off'.", FAILOVER_HEADER)
    return value == "on"
