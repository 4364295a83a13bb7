"""``POST /v1/embeddings``. Vectors of two models cannot be compared: only the same model elsewhere may stand in."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_common.decisions.cost_limit import CostLimit
from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.outcomes import CallState
from fairlead_models.batches import joined
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.inbound import embeddings
from fairlead_models.prices import Price, cost_usd
from fairlead_models.unified import EmbeddingRequest, EmbeddingResponse, UnsupportedPolicy

from fairlead_edge.dataplane.answers import ServedBy
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.headers import max_cost_usd, may_fail_over, timeout_s
from fairlead_edge.dataplane.runner import Runner
from fairlead_edge.fleet import Fleet
from fairlead_edge.http.messages import Request, ResponseWriter

NEEDS = frozenset(("embeddings",))
BYTES_PER_TOKEN = 4


class Embeddings:
    """The handler of one process."""

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
        request = embeddings.parse(http.body)
        request.unsupported = UnsupportedPolicy(self._fleet.settings(workspace_id).unsupported_parameters)
        call.asked(request.model, stream=False)
        limit_usd, sizes = max_cost_usd(http.headers), _sizes(request)
        wanted = RouteRequest(
            request.model,
            workspace_id,
            NEEDS,
            max(sizes),
            user=request.user or "",
            failover=may_fail_over(http.headers),
            cost_limit=None if limit_usd is None else CostLimit(limit_usd, sum(sizes), 0),
        )
        attempts = self._runner.attempts(call, wanted, timeout_s(http.headers))
        attempts.keep_to_one_model()
        async for step in attempts:
            attempt = attempts.begin(step)
            client = self._clients[step.target.provider]
            parts: list[EmbeddingResponse] = []
            try:
                await attempts.strike(step.target, attempt)
                timeouts = attempts.timeouts(step.target, client.spec.timeouts, stream=False)
                answer = await client.embed(request, step.target.model, timeouts, parts=parts)
            except ProviderError as error:
                _bill(call, attempt, parts, attempts.price(step.target))
                attempts.failed(step.target, attempt, error)
                continue
            except asyncio.CancelledError:
                _bill(call, attempt, parts, attempts.price(step.target))
                attempts.abandoned(step.target, attempt)
                raise
            finally:
                attempts.ended(attempt)
            response = answer.response
            cost = cost_usd(response.usage, attempts.price(step.target))
            call.served(attempt, response.usage, cost, None, answer.status, response.provider_request_id)
            call.answering(step)
            attempts.succeeded(step.target, answer.rate_limits)
            served = ServedBy(call, step, answer.warnings, cost)
            body = embeddings.render(response, request, str(step.target))
            self._runner.record(call, CallState.OK, 200)
            writer.send(200, served.headers("application/json"), body)
            return
        raise attempts.exhausted()


def _bill(
    call: RunningCall, attempt: dict[str, Any], parts: Sequence[EmbeddingResponse], price: Price | None
) -> None:
    """The provider has answered these parts of a request, though not all of it."""
    if parts:
        usage = joined(parts).usage
        call.billed(attempt, usage, cost_usd(usage, price), estimated=False)


def _sizes(request: EmbeddingRequest) -> list[int]:
    """Estimated tokens of each input: each has the model's window for itself, and all are billed."""
    return [
        math.ceil(len(each.encode()) / BYTES_PER_TOKEN) if isinstance(each, str) else len(each)
        for each in request.inputs
    ]
