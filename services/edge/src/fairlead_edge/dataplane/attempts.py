"""The attempts of one call: which target is tried next, what a failure means for the next one, and the last answer.

One owner of retries: nothing below this tries again, except for an idle connection that turned out to be closed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fairlead_common.decisions.drills import ERRORS, striking
from fairlead_common.decisions.plan import NoCapacity, Plan, Reason, RouteRequest, Step
from fairlead_common.decisions.steps import MAX_STEPS
from fairlead_common.decisions.targets import Target
from fairlead_common.outcomes import Bucket, ErrorClass
from fairlead_models.errors import ProviderError
from fairlead_models.prices import Price
from fairlead_models.rate_limits import RateLimits
from fairlead_models.transport.protocol import Timeouts

from fairlead_edge.dataplane.answers import NoAnswer
from fairlead_edge.dataplane.calls import RunningCall
from fairlead_edge.dataplane.retry import pause_s
from fairlead_edge.dataplane.spending import Spending
from fairlead_edge.dataplane.surroundings import Surroundings
from fairlead_edge.dataplane.verdicts import callers_own, no_such_model, soonest
from fairlead_edge.fleet import random_draw, unix_now

RETRY_AFTER_S = 2.0
LIMITED_RETRY_AFTER_S = 5.0
NOTHING_SHARE = 0.001
"""So small a share of a call's time counts as nothing."""
NOT_TEXT = frozenset(("vision", "files", "audio", "embeddings"))
"""Needs of requests whose tokens are a guess."""
LEAST_S = 0.02
"""No attempt is given less."""


class Attempts:
    """Iterates over the steps of a plan while deadline and retry budget allow; told how each attempt ended.

    Args:
        wanted: what the plan was made for; decided again, with stand-ins, when the plan says that there are ``more``.
        timeout_s: how long all of them may take, within the edge's own bound.
    """

    def __init__(
        self,
        call: RunningCall,
        wanted: RouteRequest,
        plan: Plan,
        around: Surroundings,
        timeout_s: float | None = None,
    ) -> None:
        self._call = call
        self._wanted = wanted
        self._plan = plan
        self._around = around
        longest_s = around.bounds.request_s
        self._request_s = longest_s if timeout_s is None else min(timeout_s, longest_s)
        limit = wanted.cost_limit
        self._catalog = around.fleet.catalog(wanted.workspace_id)
        prices = self._catalog.estimated_price
        self._spending = Spending(limit, call.attempts, prices) if limit is not None else None
        self._too_dear: dict[Target, str] = {}
        """Those passed over, and why."""
        self._left = deque(plan.steps)
        self._errors: list[ProviderError] = []
        self._hurried: set[Target] = set()
        """Those whose attempt had less time than their provider's row gives them."""
        self._model: str | None = None
        self._stands_in = plan.stands_in
        """The first attempt went to somebody who was not named."""

    def __aiter__(self) -> "Attempts":
        return self

    async def __anext__(self) -> Step:
        step = self._next() or await self._again()
        if step is None:
            raise StopAsyncIteration
        return step

    def _next(self) -> Step | None:
        """Who is tried now."""
        tried = len(self._call.attempts)
        if tried and (self._stopped() or self._late() or not self._around.budget.allows(tried)):
            return None
        if self._plan.more and not self._left:
            self._look_for_more()
        while self._left:
            step = self._left.popleft()
            if self._model is not None and step.target.model != self._model:
                continue
            if tried and self._too_dear_now(step.target):
                continue
            if not tried or not self._left or self._may_try(step):
                return step
        return None

    async def _again(self) -> Step | None:
        """The first target once more, after a pause, when there is nobody else and that may help."""
        if len(self._call.attempts) != 1 or len(self._errors) != 1 or not self._wanted.failover:
            return None
        around, first = self._around, self._call.attempts[0]
        target, wait_s = Target(first["provider"], first["model"]), pause_s(self._errors[0], random_draw())
        if wait_s is None or around.budget.spent or self._late(wait_s) or self._too_dear_now(target):
            return None
        if not around.fleet.breakers.usable(target, unix_now() + wait_s):
            return None
        await asyncio.sleep(wait_s)
        return Step(target, Reason.RETRY)

    def keep_to_one_model(self) -> None:
        """Only one model may answer, whoever serves it: the first target's, or that of whom a stand-in goes before.

        When nobody who serves it is well, the one who was meant is tried all the same.
        """
        meant = self._plan.instead_of
        if not self._plan.stands_in or meant is None:
            self._model = self._plan.steps[0].target.model
            return
        self._model = meant.model
        self._left.append(Step(meant, Reason.PANIC))

    def beside(self, granted: Callable[[], bool]) -> Step | None:
        """Who is asked beside the attempt under way: another provider that is well, if ``granted``; else None."""
        step = self._next()
        if step is None:
            return None
        asked = {each["provider"] for each in self._call.attempts}
        well = step.reason in (Reason.PRIMARY, Reason.FAILOVER) and step.target.provider not in asked
        if not well or not granted():
            self._left.appendleft(step)
            return None
        return step._replace(reason=Reason.HEDGE)

    def _look_for_more(self) -> None:
        """Decide again, with the stand-ins and with what the attempts so far have taught; other providers come first."""
        draw = self._plan.choice.draw if self._plan.choice is not None else None
        fleet = self._around.fleet
        found = fleet.plan(self._wanted, fleet.clock(), draw=draw)
        if isinstance(found, NoCapacity):
            self._plan = replace(self._plan, more=False)
            return
        tried = {Target(each["provider"], each["model"]) for each in self._call.attempts}
        self._plan = found
        providers = {target.provider for target in tried}
        fresh = [step for step in found.steps if step.target not in tried]
        fresh.sort(key=lambda step: step.target.provider in providers)
        for step in fresh[: MAX_STEPS - len(tried)]:
            stand_in = step._replace(reason=Reason.FAILOVER) if step.reason is Reason.PRIMARY else step
            self._left.append(stand_in)

    def _too_dear_now(self, target: Target) -> bool:
        """More than what is left of the caller's limit; remembers it for who asks why."""
        why = self._spending.why_not(target) if self._spending is not None else None
        if why is not None:
            self._too_dear[target] = why
        return why is not None

    def _may_try(self, step: Step) -> bool:
        """Passes over what went bad since the plan was made; a plan made in panic knew that it was bad."""
        return step.reason is Reason.PANIC or self._around.fleet.breakers.usable(step.target, unix_now())

    def _stopped(self) -> bool:
        """The caller's request was bad in the eyes of one whom he had named: no other is bothered with it.

        A stand-in that does not like the request says nothing about the request: the caller did not write it for him.
        """
        return len(self._errors) == 1 and not self._errors[0].retryable and not self._stands_in

    def _late(self, wait_s: float = 0.0) -> bool:
        """Less than the shortest attempt is left of the call's time, ``wait_s`` from now."""
        return self._call.elapsed_ms / 1000 + wait_s > self._request_s - LEAST_S

    def price(self, target: Target) -> Price | None:
        """USD per token that the caller's workspace pays; None = unknown."""
        return self._catalog.price(target)

    def begin(self, step: Step) -> dict[str, Any]:
        """The step is tried now."""
        self._around.fleet.sending(step.target, unix_now())
        if self._call.attempts:
            self._around.budget.extra += 1
        return self._call.begin_attempt(step)

    async def strike(self, target: Target, attempt: dict[str, Any]) -> None:
        """What a drill does to the attempt that begins now. Raises ProviderError as if the provider had failed.

        A drill of one workspace must not move the traffic of the others.
        """
        fleet = self._around.fleet
        drill = striking(fleet.drills, target, self._wanted.workspace_id, fleet.clock(), random_draw())
        if drill is None:
            return
        self._call.struck(drill.drill_id)
        if drill.only_workspace_id is not None:
            attempt["excused"] = True
        await asyncio.sleep(drill.delay_s)
        if (error := ERRORS[drill.fault]) is not None:
            text = f"A drill injected this failure ({drill.drill_id})."
            raise ProviderError(error, text, provider=target.provider, model=target.model)

    def ended(self, attempt: dict[str, Any]) -> None:
        """The attempt is over, or has given its first token."""
        if attempt is not self._call.attempts[0]:
            self._around.budget.extra -= 1

    def timeouts(self, target: Target, spec: Timeouts, *, stream: bool) -> Timeouts:
        """Bounds of the attempt that begins now, within those of the provider and what is left of the call's time."""
        spent_s = self._call.elapsed_ms / 1000
        full = self._around.full_timeouts(spec, stream=stream)
        longest_s = self._around.bounds.request_s
        if spent_s < NOTHING_SHARE * longest_s and self._request_s == longest_s:
            return full
        left_s = max(LEAST_S, self._request_s - spent_s)
        if left_s < full.total_s:
            self._hurried.add(target)
        return replace(full, total_s=min(full.total_s, left_s))

    def failed(self, target: Target, attempt: dict[str, Any], error: ProviderError) -> None:
        """The attempt, or the stream that came of it, has failed."""
        fleet = self._around.fleet
        fleet.over(target)
        if error.error_class is ErrorClass.NOT_FOUND and target not in self._catalog.entries:
            error = no_such_model(target, error)
        self._errors.append(error)
        if target in self._hurried and error.error_class is ErrorClass.TIMEOUT_TOTAL:
            attempt["excused"] = True
        self._call.failed(attempt, error)
        self._around.metrics.attempt_failed(target.provider, error.error_class)
        if not attempt.get("excused"):
            fleet.breakers.outcome(target, error.error_class, unix_now(), random_draw(), error.retry_after_s)

    def succeeded(
        self,
        target: Target,
        limits: RateLimits,
        input_tokens: int | None = None,
        cached_tokens: int | None = None,
    ) -> None:
        """The answer came completely.

        Args:
            limits: what is left of the provider's rate limits.
            input_tokens: what the provider counted of the request as the caller sent it; None = it did not say.
            cached_tokens: of these, what its prompt cache had.
        """
        fleet, now = self._around.fleet, unix_now()
        fleet.over(target)
        fleet.breakers.outcome(target, None, now, 0.0)
        fleet.headroom.note(target, limits, now)
        if input_tokens is not None and not self._wanted.needs & NOT_TEXT:
            fleet.counted(target, self._wanted.input_tokens, input_tokens, now)
        if input_tokens and self._wanted.conversation:
            share = (cached_tokens or 0) / input_tokens
            fleet.affinity.note(self._wanted.conversation, target, self._wanted.input_tokens, share, now)

    def abandoned(self, target: Target, attempt: dict[str, Any]) -> None:
        """The caller left during the attempt or the stream that came of it, or a hedge was quicker."""
        self._around.fleet.over(target)
        self._call.abandoned(attempt)

    def exhausted(self) -> NoAnswer:
        """What the caller is told when nobody has answered."""
        errors = self._errors
        if errors and all(error.error_class.bucket is Bucket.CALLER for error in errors):
            return callers_own(errors)
        reasons = self._reasons()
        if errors and all(error.error_class.bucket is Bucket.LIMIT for error in errors):
            wait_s = soonest(errors, LIMITED_RETRY_AFTER_S)
            return NoAnswer(
                429, "rate_limit_exceeded", f"Every provider limits the rate now. {reasons}", wait_s
            )
        wait_s = soonest(errors, RETRY_AFTER_S)
        if self._late():
            text = f"No provider answered within {self._request_s:g} s. {reasons}"
            return NoAnswer(504, "deadline_exceeded", text, wait_s)
        return NoAnswer(503, "no_provider_available", f"No provider could answer. {reasons}", wait_s)

    def _reasons(self) -> str:
        """Each target of the plan or left out of it, with the reason why it did not answer."""
        found = {
            Target(each["provider"], each["model"]): str(each.get("error_class"))
            for each in self._call.attempts
        }
        for excluded in self._plan.excluded:
            found.setdefault(excluded.target, excluded.reason)
        for target, why in self._too_dear.items():
            found.setdefault(target, why)
        for step in self._plan.steps:
            other = self._model is not None and step.target.model != self._model
            found.setdefault(step.target, "another model cannot stand in" if other else "not tried")
        return "; ".join(f"{target}: {reason}" for target, reason in found.items())
