"""A chat call in any inbound format: plan, try target after target, answer; ``streams`` does it for streamed answers."""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.languages import language_of
from fairlead_common.decisions.plan import RouteRequest, Step
from fairlead_common.decisions.scores import TYPICAL_OUTPUT_TOKENS
from fairlead_common.decisions.tasks import task_of
from fairlead_common.outcomes import CallState
from fairlead_models.answers import Answer
from fairlead_models.client import ProviderClient
from fairlead_models.continuation import allows_continuation
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd, estimate_tokens
from fairlead_models.unified import ChatRequest, UnsupportedPolicy

from fairlead_edge.dataplane.answers import ServedBy
from fairlead_edge.dataplane.attempts import Attempts
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.headers import max_cost_usd, may_fail_over, timeout_s
from fairlead_edge.dataplane.runner import Runner
from fairlead_edge.dataplane.streams import Job, Streams
from fairlead_edge.fleet import Fleet, unix_now
from fairlead_edge.http.messages import Request, ResponseWriter


class Chats:
    """The handler of one process, for every inbound format: ``RunningCall.format`` is the caller's."""

    def __init__(self, fleet: Fleet, clients: Mapping[str, ProviderClient], runner: Runner) -> None:
        self._fleet = fleet
        self._clients = clients
        self._runner = runner
        self._streams = Streams(fleet, clients, runner)

    async def handle(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        """Answer one authenticated request."""
        await self._runner.run(writer, call, self._answer(http, writer, call, workspace_id))

    async def _answer(
        self, http: Request, writer: ResponseWriter, call: RunningCall, workspace_id: int
    ) -> None:
        request = call.format.parse(http.body)
        settings = self._fleet.settings(workspace_id)
        request.unsupported = UnsupportedPolicy(settings.unsupported_parameters)
        call.asked(request.model, stream=request.stream)
        input_tokens = estimate_tokens(request)
        wanted = RouteRequest(
            request.model,
            workspace_id,
            request.needs(),
            input_tokens,
            request.max_output_tokens,
            request.stream,
            request.metadata,
            response_format=request.response_format.kind if request.response_format else "text",
            user=request.user or "",
            failover=may_fail_over(http.headers),
            cost_limit=cost_limit(http.headers, request, input_tokens),
            turn=self._fleet.next_turn(),
            prediction=self._fleet.prediction(workspace_id, partial(prompt_of, request)),
            **self._asked_by_the_rules(request, http, workspace_id, input_tokens),
        )
        attempts = self._runner.attempts(call, wanted, timeout_s(http.headers))
        if request.stream:
            may_continue = settings.stream_failure == "continue" and allows_continuation(request)
            await self._streams.answer(Job(request, call, attempts, writer, may_continue))
        else:
            await self._whole(request, call, attempts, writer)

    def _asked_by_the_rules(
        self, request: ChatRequest, http: Request, workspace_id: int, input_tokens: int
    ) -> dict[str, Any]:
        """Facts that cost something, and that only some rules ask for."""
        table = self._fleet.table(workspace_id)
        found: dict[str, Any] = {}
        if "request.headers" in table.facts:
            found["headers"] = {name: value for name, value in http.headers.items() if name.startswith("x-")}
        by_cache = table.sticky("prompt_cache")
        if by_cache or table.sticky("conversation"):
            conversation = found["conversation"] = conversation_of(request)
            if by_cache:
                found["cached"] = self._fleet.affinity.shares(conversation, input_tokens, unix_now())
        if "request.task" in table.facts or self._fleet.scores(workspace_id).scores:
            found["task"] = task_of(prompt_of(request))
        if "request.language" in table.facts:
            found["language"] = language_of(prompt_of(request))
        return found

    async def _whole(
        self, request: ChatRequest, call: RunningCall, attempts: Attempts, writer: ResponseWriter
    ) -> None:
        answer, step = await self._first_answer(request, call, attempts)
        response = answer.response
        usage = response.usage
        cost = cost_usd(usage, attempts.price(step.target))
        finish = response.choices[0].finish_reason
        call.served(call.attempts[-1], usage, cost, finish, answer.status, response.provider_request_id)
        call.answering(step)
        attempts.succeeded(step.target, answer.rate_limits, usage.input_tokens, usage.cached_input_tokens)
        served = ServedBy(call, step, answer.warnings, cost)
        body = call.format.render(response, call.call_id, str(step.target))
        self._runner.record(call, CallState.OK, 200)
        writer.send(200, served.headers("application/json"), body)

    async def _first_answer(
        self, request: ChatRequest, call: RunningCall, attempts: Attempts
    ) -> tuple[Answer, Step]:
        async for step in attempts:
            attempt = attempts.begin(step)
            client = self._clients[step.target.provider]
            try:
                await attempts.strike(step.target, attempt)
                timeouts = attempts.timeouts(step.target, client.spec.timeouts, stream=False)
                return await client.chat(request, step.target.model, timeouts), step
            except ProviderError as error:
                attempts.failed(step.target, attempt, error)
            except asyncio.CancelledError:
                attempts.abandoned(step.target, attempt)
                raise
            finally:
                attempts.ended(attempt)
        raise attempts.exhausted()


def cost_limit(headers: Mapping[str, str], request: ChatRequest, input_tokens: int) -> CostLimit | None:
    """The caller's limit of cost, if there is one. Raises InvalidRequest for one that makes no sense."""
    limit_usd = max_cost_usd(headers)
    if limit_usd is None:
        return None
    output = request.max_output_tokens
    each = TYPICAL_OUTPUT_TOKENS if output is None else output
    return CostLimit(limit_usd, input_tokens, each * (request.n or 1))


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
