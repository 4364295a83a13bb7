"""What `fairlead bench decision` decides about: made-up rules, candidates and requests, the same for the same seed."""

import random
from collections.abc import Mapping, Sequence
from typing import Final

from fairlead_common.decisions.clusters import BUCKETS, ClusterTable
from fairlead_common.decisions.plan import Budget, FleetView, RouteRequest
from fairlead_common.decisions.table import CompiledTable, compile_table
from fairlead_common.decisions.targets import Candidate, Measured, Target
from fairlead_common.snapshots.predictor import Cluster, compiled
from fairlead_common.snapshots.routes import RoutesSnapshot, RuleSnapshot

NOW: Final = 1_790_000_000.0
"""Unix seconds; a Monday afternoon in September 2026."""
CAPABILITIES: Final = frozenset(("tools", "vision", "structured_output"))
WEIGHTS: Final = {"latency": 0.3, "cost": 0.3, "quality": 0.3, "reliability": 0.1}


def _conditions(number: int) -> dict[str, object]:
    """Of one rule, no two of them alike. None applies to the requests below: all rules are looked at, the worst case."""
    kinds: tuple[dict[str, object], ...] = (
        {"min_input_tokens": 60_000 + number},
        {"models": [f"special-{number}-*"]},
        {"when": f"request.tokens > {50_000 + number} && request.stream"},
        {"when": f"now.getHours() == 3 && request.tokens > {1000 + number}"},
        {"when": f"request.user.startsWith('batch-{number}') || request.response_format == 'json_schema'"},
        {
            "when": f"budget.remaining_share < 0.{10 + number}"
            if number < 30
            else "budget.remaining_usd < 1.0"
        },
        {"when": f"load > {5000 + number}"},
        {"needs": ["vision", f"ability-{number}"]},
        {"when": f"request.max_tokens > {100_000 + number} && !request.images"},
        {"metadata": {"team": f"nobody-{number}"}},
    )
    return kinds[number % len(kinds)]


def candidates(count: int, seed: int) -> tuple[Candidate, ...]:
    """So many models at ten providers, all of them named."""
    rng = random.Random(seed)  # noqa: S311 - the same figures for the same seed
    found = []
    for number in range(count):
        price = 10 ** rng.uniform(-7.5, -4.5)
        found.append(
            Candidate(
                Target(f"provider-{number % 10}", f"model-{number}"),
                named=True,
                capabilities=CAPABILITIES,
                context_window=200_000,
                max_output_tokens=32_000,
                input_price=price,
                output_price=4 * price,
                quality=rng.uniform(0.4, 0.98),
            )
        )
    return tuple(found)


def view(found: Sequence[Candidate], seed: int) -> FleetView:
    """Everybody is well and was measured; there is a budget that runs down a little too fast."""
    rng = random.Random(seed)  # noqa: S311
    measured = {}
    for each in found:
        p50 = rng.uniform(200, 4000)
        measured[each.target] = Measured(500, rng.uniform(0, 0.02), p50, 2.5 * p50, 0.4 * p50)
    providers = {each.target.provider for each in found}
    return FleetView(
        status=dict.fromkeys(providers, "healthy"),
        measured=measured,
        in_flight=dict.fromkeys(providers, 3),
        prices={each.target: each.output_price or 0.0 for each in found},
        budget=Budget(80.0, 0.4, 0.9),
    )


def table(rules: int, strategy: str, found: Sequence[Candidate]) -> CompiledTable:
    """So many rules, of which the last one applies, and decides by ``strategy`` among the candidates."""
    return compile_table(snapshot(rules, strategy, found))


def snapshot(rules: int, strategy: str, found: Sequence[Candidate]) -> RoutesSnapshot:
    """The same, before it is compiled."""
    rows = [_rule(number, "cost", _conditions(number)) for number in range(rules - 1)]
    targets = [{"target": str(each.target), "weight": 1 + n % 3} for n, each in enumerate(found)]
    last: dict[str, object] = {"weights": WEIGHTS} if strategy == "balanced" else {}
    rows.append(_rule(rules - 1, strategy, last | ({"targets": targets} if strategy == "weighted" else {})))
    return RoutesSnapshot(workspace_id=1, version=1, rules=tuple(rows))


def _rule(number: int, strategy: str, conditions: Mapping[str, object]) -> RuleSnapshot:
    return RuleSnapshot(
        rule_id=number, name=f"rule {number}", strategy=strategy, priority=number, conditions=dict(conditions)
    )


def requests(count: int, seed: int) -> list[tuple[RouteRequest, float]]:
    """Requests of many lengths, a third of them streamed, each with its draw."""
    rng = random.Random(seed)  # noqa: S311
    return [
        (
            RouteRequest(
                "auto",
                input_tokens=int(10 ** rng.uniform(1.5, 4.5)),
                max_output_tokens=rng.choice((None, 200, 1000, 4000)),
                stream=rng.random() < 0.33,
                metadata={"team": f"team-{rng.randrange(20)}"},
                user=f"user-{rng.randrange(1000)}",
                turn=turn,
            ),
            rng.random(),
        )
        for turn in range(count)
    ]


def learned(found: Sequence[Candidate], seed: int) -> ClusterTable:
    """A table of 32 clusters with 300 words each, as training makes of thousands of prompts."""
    rng = random.Random(seed)  # noqa: S311
    return compiled(
        tuple(
            Cluster(
                prompts=100,
                quality={str(each.target): rng.random() for each in found},
                words=tuple((bucket, rng.random()) for bucket in rng.sample(range(BUCKETS), 300)),
            )
            for _ in range(32)
        )
    )


def prompts(count: int, characters: int, seed: int) -> list[str]:
    """Prompts of so many characters, of words of 1 to 9 letters."""
    rng = random.Random(seed)  # noqa: S311
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(2000)]
    return [" ".join(rng.choices(words, k=characters))[:characters] for _ in range(count)]
