"""A chat call in any inbound format: plan, try target after target, answer. Failures before the first token stay unseen."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_common.decisions.languages import language_of
from fairlead_common.decisions.plan import RouteRequest, Step
from fairlead_common.decisions.tasks import task_of
from fairlead_common.outcomes import CallState
from fairlead_models.client import Answer, ChunkStream, ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.inbound.protocol import StreamRenderer
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.unified import ChatChunk, ChatRequest, FinishReason, UnsupportedPolicy, Usage

from fairlead_edge.dataplane.answers import ServedBy
from fairlead_edge.dataplane.attempts import Attempts
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.runner import Runner, may_fail_over
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.messages import STOPPING, Request, ResponseWriter

SSE = "text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that has given its first token (or its regular end), and the chunks that came until then."""

    stream: ChunkStream
    chunks: list[ChatChunk]
    step: Step
    attempt: dict[str, Any]
    ended: bool


class Chats:
    """The handler of one process, for every inbound format: ``RunningCall.format`` is the caller's."""

    def __init__(self, fleet: Fleet, clients: Mapping[str, ProviderClient], runner: Runner) -> None:
        self._fleet = fleet
        self._clients = clients
        self._runner = runner

    async def handle(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        """Answer one authenticated request."""
        await self._runner.run(writer, call, self._answer(http, writer, call, workspace_id))

    async def _answer(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        request = call.format.parse(http.body)
        request.unsupported = UnsupportedPolicy(self._fleet.settings(workspace_id).unsupported_parameters)
        call.asked(request.model, stream=request.stream)
        wanted = RouteRequest(
            request.model,
            workspace_id,
            request.needs(),
            estimate_tokens(request),
            request.max_output_tokens,
            request.stream,
            request.metadata,
            response_format=request.response_format.kind if request.response_format else "text",
            user=request.user or "",
            failover=may_fail_over(http.headers),
            turn=self._fleet.next_turn(),
            **self._asked_by_the_rules(request, http, workspace_id),
        )
        attempts = self._runner.attempts(call, wanted)
        if request.stream:
            await self._stream(request, call, attempts, writer)
        else:
            await self._whole(request, call, attempts, writer)

    def _asked_by_the_rules(self, request: ChatRequest, http: Request, workspace_id: int) -> dict[str, Any]:
        """Facts that cost something, and that only some rules ask for."""
        table = self._fleet.table(workspace_id)
        found: dict[str, Any] = {}
        if "request.headers" in table.facts:
            found["headers"] = {name: value for name, value in http.headers.items() if name.startswith("x-")}
        if table.sticky("conversation"):
            found["conversation"] = conversation_of(request)
        if "request.task" in table.facts:
            found["task"] = task_of(prompt_of(request))
        if "request.language" in table.facts:
            found["language"] = language_of(prompt_of(request))
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
        attempts.succeeded(step.target, answer.rate_limits)
        served = ServedBy(call, step, answer.warnings, cost)
        body = call.format.render(response, call.call_id, str(step.target))
        self._runner.record(call, CallState.OK, 200)
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
                attempts.abandoned(step.target, attempt)
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
        target = str(opened.step.target)
        renderer = call.format.stream_renderer(request, call.call_id, target, int(unix_now()))
        seen = _Seen()
        try:
            writer.start(200, ServedBy(call, opened.step, opened.stream.warnings, None).headers(SSE))
            await self._pass_on(opened, seen, renderer, writer)
        except ProviderError as error:
            call.usage = seen.usage
            attempts.failed(opened.step.target, opened.attempt, error)
            self._runner.record(call, CallState.TRUNCATED, 200, error.error_class)
            text = f"The stream broke: {error.message}"
            writer.end(renderer.error(text, "stream_error", error.error_class.value))
        except asyncio.CancelledError as error:
            call.usage = seen.usage
            attempts.abandoned(opened.step.target, opened.attempt)
            if STOPPING in error.args:
                self._runner.record(call, CallState.TRUNCATED, 200, "edge_stopping")
                writer.end(
                    renderer.error("The stream broke: the edge stops.", "stream_error", "edge_stopping")
                )
            raise
        else:
            self._streamed(call, opened, seen)
            attempts.succeeded(opened.step.target, opened.stream.rate_limits)
            writer.end(renderer.done(seen.usage))
        finally:
            opened.stream.close()

    @staticmethod
    async def _pass_on(
        opened: Opened, seen: "_Seen", renderer: StreamRenderer, writer: ResponseWriter
    ) -> None:
        """Everything until the stream's regular end. Raises ProviderError when it has another."""
        chunks, ended = opened.chunks, opened.ended
        begin = renderer.begin()
        while True:
            await writer.write(begin + b"".join([renderer.chunk(chunk) for chunk in seen.note(chunks)]))
            begin = b""
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
                attempts.abandoned(step.target, attempt)
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
                if stream.failure is None and any(chunk.has_token for chunk in found):
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
        self._runner.record(call, CallState.OK, 200)


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


def prompt_of(request: ChatRequest) -> str:
    """The text of the user's latest turn that has any; empty when there is none."""
    return next(
        (text for each in reversed(request.messages) if each.role == "user" and (text := each.text())), ""
    )


def conversation_of(request: ChatRequest) -> str:
    """The same for every turn of one conversation: a hash of how it began, up to the first turn of the user."""
    beginning = []
    for message in request.messages:
        beginning.append(f"{message.role}:{message.text()}")
        if message.role == "user":
            break
    return hashlib.blake2b("\x1f".join(beginning).encode(), digest_size=12).hexdigest()
