"""``/api/providers/compare``: what was measured of the providers, and the calls of the workspace."""

import re
from collections.abc import Collection
from typing import Annotated, Final, Literal
from uuid import UUID

from fairlead_common.events.calls import CallKind
from fairlead_common.operations import calls as call_ops
from fairlead_common.operations import comparison as ops
from fairlead_common.operations.times import Day, Moment
from fairlead_common.outcomes import CallState
from fairlead_models.catalog.catalog import Catalog
from fastapi import APIRouter, HTTPException, Query

from fairlead_edge.control.dependencies import FleetNow, Rpc, WorkspaceId

router = APIRouter(prefix="/api/providers/compare", tags=["compare"])

UNIT_S: Final = {"m": 60, "h": 3600, "d": 86_400}

Targets = Annotated[
    list[str] | None, Query(description="providers or provider/model, repeated or separated by commas")
]
Window = Annotated[str, Query(description="length of the window, for example 15m, 24h or 7d; at most 31d")]
Until = Annotated[Moment | None, Query(description="end of the window; without it, now")]
Kinds = Annotated[list[CallKind] | None, Query(description="kinds of calls that count; without any, live")]
Weight = Annotated[float, Query(ge=0, le=1000)]


@router.get("", summary="Compare providers or models")
async def compare(
    rpc: Rpc,
    fleet: FleetNow,
    workspace_id: WorkspaceId,
    *,
    targets: Targets = None,
    metrics: Annotated[list[ops.Metric] | None, Query(description="without any, all")] = None,
    window: Window = "24h",
    until: Until = None,
    kind: Kinds = None,
) -> ops.Comparison:
    """Two or more targets (without any: all providers), pair by pair, with intervals and p values.

    There is a winner only where the 95 % interval of the difference leaves zero out and the p value holds after Holm's
    correction over all comparisons of the answer; otherwise ``reason`` says what is missing.
    """
    query = ops.CompareQuery(
        targets=_names(targets, ops.MAX_TARGETS),
        metrics=list(dict.fromkeys(metrics or ops.Metric)),
        window_s=_seconds(window),
        until=until,
        kinds=_kinds(kind),
    )
    found = await rpc.call(ops.COMPARE, query)
    measured = {value.target for metric in found.metrics for value in metric.values if value.n}
    _refuse_unknown(set(query.targets) - measured, fleet.catalog(workspace_id))
    return found


@router.get("/ranking", summary="Rank providers or models")
async def ranking(
    rpc: Rpc,
    *,
    by: Annotated[ops.Metric | Literal["balanced"], Query()] = "balanced",
    latency: Weight = 0.25,
    cost: Weight = 0.25,
    quality: Weight = 0.25,
    reliability: Weight = 0.25,
    level: ops.Level = "provider",
    targets: Targets = None,
    window: Window = "24h",
    until: Until = None,
    kind: Kinds = None,
) -> ops.Ranking:
    """By one metric, or balanced by the four weights; ``behind_first`` tells which order is more than chance."""
    query = ops.RankingQuery(
        by=None if by == "balanced" else by,
        weights=ops.Weights(latency=latency, cost=cost, quality=quality, reliability=reliability),
        level=level,
        targets=_names(targets, ops.MAX_RANKED),
        window_s=_seconds(window),
        until=until,
        kinds=_kinds(kind),
    )
    return await rpc.call(ops.RANKING, query)


@router.get("/trend", summary="One metric over time")
async def trend(
    rpc: Rpc,
    *,
    metric: ops.Metric = ops.Metric.LATENCY_P50,
    step: Literal["minute", "hour"] = "minute",
    level: ops.Level = "provider",
    targets: Targets = None,
    window: Window = "1h",
    until: Until = None,
    kind: Kinds = None,
) -> ops.Trend:
    """One series for each target; steps of a minute reach back 6 hours, steps of an hour 31 days."""
    query = ops.TrendQuery(
        metric=metric,
        step=step,
        level=level,
        targets=_names(targets, ops.MAX_TARGETS),
        window_s=_seconds(window),
        until=until,
        kinds=_kinds(kind),
    )
    return await rpc.call(ops.TREND, query)


@router.get("/history", summary="Comparisons by the day")
async def history(
    rpc: Rpc,
    *,
    since: Day | None = None,
    until: Annotated[Day | None, Query(description="the last day that is included")] = None,
    provider: str | None = None,
    metric: ops.Metric | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> ops.DailyRows:
    """Newest day first."""
    query = ops.HistoryQuery(since=since, until=until, provider=provider, metric=metric, limit=limit)
    return await rpc.call(ops.HISTORY, query)


@router.post("/history/{day}/recompute", summary="Compute a day anew")
async def recompute(rpc: Rpc, day: Day) -> ops.DailyRows:
    """Today and yesterday are computed anew every few minutes; an earlier day when it is asked for."""
    return await rpc.call(ops.RECOMPUTE, ops.OneDay(day=day))


@router.get("/calls", summary="Recent calls")
async def calls(
    rpc: Rpc,
    workspace_id: WorkspaceId,
    *,
    provider: str | None = None,
    model: str | None = None,
    state: CallState | None = None,
    kind: CallKind | None = None,
    failover: bool | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    before: Annotated[UUID | None, Query(description="'next' of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> call_ops.CallList:
    """Of this workspace, newest first."""
    query = call_ops.CallsQuery(
        workspace_id=workspace_id,
        provider=provider,
        model=model,
        state=state,
        kind=kind,
        failover=failover,
        since=since,
        until=until,
        before=before,
        limit=limit,
    )
    return await rpc.call(call_ops.CALLS, query)


@router.get("/calls/{call_id}", summary="One call")
async def call(rpc: Rpc, workspace_id: WorkspaceId, call_id: UUID) -> call_ops.CallDetail:
    """With every attempt."""
    return await rpc.call(call_ops.CALL, call_ops.OneCall(workspace_id=workspace_id, call_id=call_id))


def _kinds(kinds: list[CallKind] | None) -> list[CallKind]:
    return list(dict.fromkeys(kinds or [CallKind.LIVE]))


def _names(values: list[str] | None, at_most: int) -> list[str]:
    names = [name.strip() for value in values or [] for name in value.split(",") if name.strip()]
    if len(names) > at_most:
        raise HTTPException(422, f"targets: at most {at_most} can be named, found {len(names)}")
    if too_long := [name for name in names if len(name) > ops.MAX_TARGET_LENGTH]:
        raise HTTPException(422, f"targets: '{too_long[0][:40]}...' is too long for a target")
    return names


def _refuse_unknown(names: Collection[str], catalog: Catalog) -> None:
    """Who was measured may have left the catalog since; who is in neither was misspelt."""
    known = {str(target) for target in catalog.entries} | {target.provider for target in catalog.entries}
    for name in sorted(set(names) - known):
        text = f"targets: nothing is called '{name}', and nothing was measured of it; {catalog.meant(name)}"
        raise HTTPException(404, text)


def _seconds(window: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", window)
    seconds = int(found[1]) * UNIT_S[found[2]] if found else 0
    if not 0 < seconds <= ops.MAX_WINDOW_S:
        raise HTTPException(
            422,
            f"window: expected a number with m, h or d, from 1m to {ops.MAX_WINDOW_S // 86_400}d, found '{window[:40]}'",
        )
    return seconds
