"""What the demo does next. Pure: random draws come in as a generator, nothing is sent from here."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REQUESTS_PER_S = 3.0
FIRST_FAULT_S = (40.0, 60.0)
FAULT_S = (20.0, 40.0)
BETWEEN_FAULTS_S = (60.0, 120.0)
FIRST_TEST_S = 20.0
BETWEEN_TESTS_S = 240.0
TEST_PROMPTS = 8
TEST_REPEATS = 2
STREAMED_SHARE = 0.6
GENERAL_SHARE = 0.25
"""Of the requests that leave the choice of the model to Fairlead."""
GENERAL = ("auto", "class:fast", "class:balanced")

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "down": {},
    "refuse": {},
    "error_500": {},
    "overloaded": {},
    "rate_limited": {"retry_after_s": 5},
    "brownout": {"factor": 8},
    "slow_first_token": {"delay_s": 3},
    "cut": {"probability": 0.7},
    "malformed": {},
}

SUBJECTS = (
    "the change of the tides",
    "a good commit message",
    "how a lock on a canal works",
    "why bread rises",
    "the difference between latency and throughput",
    "how bees find their way",
    "what a circuit breaker protects",
    "how to read a contour map",
    "why the sky is blue",
    "the use of a fairlead on a ship",
)
REQUESTS = (
    "Explain {} to a child of ten in three sentences.",
    "Give two arguments for and two against learning about {}.",
    "Summarise {} in one sentence.",
    "Write a short quiz question about {}, with its answer.",
)


@dataclass(frozen=True)
class Chat:
    """One chat request."""

    model: str
    prompt: str
    stream: bool

    def body(self) -> dict[str, Any]:
        """As the edge takes it."""
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "stream": self.stream,
            "max_tokens": 200,
        }


@dataclass(frozen=True)
class PlannedFault:
    """A fault to switch on after ``wait_s``; it ends by itself after ``for_s``."""

    wait_s: float
    provider: str
    kind: str
    for_s: float

    def body(self) -> dict[str, Any]:
        """As the simulator takes it."""
        return {**FAULTS[self.kind], "for_s": self.for_s}


def next_chat(models: Sequence[str], draw: random.Random) -> Chat:
    """A chat over one of ``models`` (``provider/model``), every provider as often as every other."""
    stream = draw.random() < STREAMED_SHARE
    if draw.random() < GENERAL_SHARE:
        return Chat(draw.choice(GENERAL), prompt(draw), stream)
    provider = draw.choice(sorted({model.partition("/")[0] for model in models}))
    return Chat(draw.choice([m for m in models if m.startswith(f"{provider}/")]), prompt(draw), stream)


def prompt(draw: random.Random) -> str:
    """A harmless question."""
    return draw.choice(REQUESTS).format(draw.choice(SUBJECTS))


def pause_s(draw: random.Random) -> float:
    """Seconds until the next request: arrivals that know nothing of each other."""
    return min(draw.expovariate(REQUESTS_PER_S), 2.0)


def next_fault(providers: Sequence[str], last: PlannedFault | None, draw: random.Random) -> PlannedFault:
    """The next fault, of another provider than the last one where there is a choice."""
    others = [each for each in providers if last is None or each != last.provider] or list(providers)
    wait = draw.uniform(*FIRST_FAULT_S) if last is None else last.for_s + draw.uniform(*BETWEEN_FAULTS_S)
    return PlannedFault(
        wait, draw.choice(others), draw.choice(sorted(FAULTS)), round(draw.uniform(*FAULT_S), 1)
    )


def next_test(models: Sequence[str], name: str, draw: random.Random) -> dict[str, Any]:
    """An A/B test of two or three providers, one model each, as the edge takes it."""
    providers = sorted({model.partition("/")[0] for model in models})
    chosen = draw.sample(providers, min(len(providers), draw.choice((2, 3))))
    arms = [draw.choice([m for m in models if m.startswith(f"{provider}/")]) for provider in chosen]
    prompts = list(dict.fromkeys(prompt(draw) for _ in range(TEST_PROMPTS)))
    return {"name": name, "prompts": prompts, "providers": arms, "repeats": TEST_REPEATS}
