"""Calling one arm once: the answer, or the class of its failure; never another arm, never a second try."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import ErrorClass
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.client import ProviderClient
from fairlead_models.errors import ProviderError
from fairlead_models.prices import cost_usd
from fairlead_models.transport.protocol import Timeouts
from fairlead_models.unified import ChatRequest, Choice, FinishReason, Usage

CONNECT_S = 5.0


@dataclass
class Outcome:
    """What came of one call. Times are measured at our side of the wire, waiting for a free slot not included."""

    latency_ms: float = 0.0
    ttft_ms: float | None = None
    text: str | None = None
    refusal: bool = False
    tool_called: bool = False
    finish_reason: FinishReason | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    error: ProviderError | None = None
    status: int | None = None


class Caller:
    """Calls arms. ``catalog`` gives that of a workspace as it is now, for prices."""

    def __init__(self, clients: Mapping[str, ProviderClient], catalog: Callable[[int], Catalog]) -> None:
        self._clients = clients
        self._catalog = catalog

    async def call(
        self, workspace_id: int, target: Target, request: ChatRequest, timeout_s: float
    ) -> Outcome:
        """Call ``target`` for a workspace, at its prices; a failure of the provider is an outcome."""
        timeouts = Timeouts(min(CONNECT_S, timeout_s), timeout_s, timeout_s, timeout_s)
        outcome, began = Outcome(), time.perf_counter()
        try:
            client = self._client(target)
            if request.stream:
                await self._stream(client, target, request, timeouts, outcome, began)
            else:
                await self._whole(client, target, request, timeouts, outcome)
        except ProviderError as error:
            outcome.error, outcome.status = error, error.status
        outcome.latency_ms = (time.perf_counter() - began) * 1000
        outcome.cost_usd = cost_usd(outcome.usage, self._catalog(workspace_id).price(target))
        return outcome

    def _client(self, target: Target) -> ProviderClient:
        found = self._clients.get(target.provider)
        if found is None:
            text = "the provider is no longer configured"
            raise ProviderError(ErrorClass.NOT_FOUND, text, provider=target.provider, model=target.model)
        return found

    @staticmethod
    async def _whole(
        client: ProviderClient, target: Target, request: ChatRequest, timeouts: Timeouts, outcome: Outcome
    ) -> None:
        answer = await client.chat(request, target.model, timeouts)
        choice = answer.response.choices[0] if answer.response.choices else Choice()
        outcome.text, outcome.finish_reason = choice.text or choice.refusal or "", choice.finish_reason
        outcome.refusal, outcome.tool_called = bool(choice.refusal), bool(choice.tool_calls)
        outcome.usage, outcome.status = answer.response.usage, answer.status

    @staticmethod
    async def _stream(
        client: ProviderClient,
        target: Target,
        request: ChatRequest,
        timeouts: Timeouts,
        outcome: Outcome,
        began: float,
    ) -> None:
        async with client.streaming(request, target.model, timeouts) as stream:
            outcome.status = stream.status
            pieces: list[str] = []
            while chunks := await stream.next():
                for chunk in chunks:
                    if chunk.has_token and outcome.ttft_ms is None:
                        outcome.ttft_ms = (time.perf_counter() - began) * 1000
                    pieces.append(chunk.text or chunk.refusal or "")
                    outcome.refusal = outcome.refusal or bool(chunk.refusal)
                    outcome.tool_called = outcome.tool_called or bool(chunk.tool_calls)
                    outcome.finish_reason = chunk.finish_reason or outcome.finish_reason
                    outcome.usage = chunk.usage or outcome.usage
            outcome.text = "".join(pieces)
