"""What people think of answers: one score for each opinion, of the model that answered and the task of the prompt."""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from fairlead_common.bus.rpc import RpcClient, RpcError, RpcUnavailable
from fairlead_common.operations import calls
from fairlead_common.operations import routing_replay as ops

from fairlead_routing.scores.store import Score, ScoreStore

SOURCE: Final = "feedback"
UNKNOWN_TASK: Final = "unknown"


class FeedbackApi:
    """One method per operation."""

    def __init__(self, rpc: RpcClient, store: ScoreStore, clock: Callable[[], datetime]) -> None:
        self._rpc = rpc
        self._store = store
        self._clock = clock

    async def give(self, request: ops.GiveFeedback) -> ops.Feedback:
        """Keep one opinion; a later one of the same person about the same call takes its place."""
        feedback = request.feedback
        found = await self._call(request.workspace_id, feedback.call_id)
        provider, model = found.call.provider, found.call.model
        if provider is None or model is None:
            raise RpcError(422, "no_answer", f"nobody answered call {feedback.call_id}")
        task = found.decision.task if found.decision is not None else UNKNOWN_TASK
        by = feedback.by or request.key_id
        identity = f"{found.call.call_id}:{by}"
        await self._store.put(
            Score(
                SOURCE,
                identity,
                request.workspace_id,
                provider,
                model,
                task,
                feedback.value,
                self._clock(),
            )
        )
        return ops.Feedback(
            call_id=found.call.call_id, by=by, score=feedback.value, provider=provider, model=model, task=task
        )

    async def _call(self, workspace_id: int, call_id: UUID) -> calls.CallDetail:
        query = calls.OneCall(workspace_id=workspace_id, call_id=call_id)
        try:
            return await self._rpc.call(calls.CALL, query)
        except RpcUnavailable as error:
            raise RpcError(503, "service_unavailable", str(error)) from error
