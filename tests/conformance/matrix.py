"""The conformance matrix: features x vendors x streaming, asked with official SDKs through a real edge.

Each cell is *works*, or says what the caller is told: a warning that names the parameter, or a refusal with its code.
Nothing may be lost in silence. ``python -m tests.conformance.matrix`` writes ``docs/conformance.md``; the test compares.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anthropic
import openai
from fairlead_simulator.testing import running

from tests.conformance.anthropic_messages import anthropic_features, ask_anthropic
from tests.conformance.openai_chat import ask_openai, openai_features
from tests.conformance.openai_responses import ask_responses, responses_features
from tests.conformance.rows import Clients, Feature, Seen
from tests.support.edge import ADMIN, RunningEdge, edge_here, spec_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "conformance.md"
MODELS = {
    "openai": "openai/gpt-5.4-mini",
    "anthropic": "anthropic/claude-haiku-5-5",
    "google": "google/gemini-3.8-flash",
    "mistral": "mistral/mistral-medium-3-5",
    "cohere": "cohere/command-a-03-2025",
}
PREAMBLE = """Written by `python -m tests.conformance.matrix` from real calls: official SDKs, a real edge, and simulators
that the vendors' own SDKs accept; `make test` compares. Each cell holds for whole and streamed answers. *told*: the
answer comes without it, and the header `x-fairlead-warnings` names the parameter and why. *refused*: a 400 that says
what the model cannot do; without `x-fairlead-failover: off`, a stand-in that can would answer."""
Ask = Callable[..., Awaitable[Seen]]
CALLERS: dict[str, tuple[Ask, Callable[[], list[Feature]]]] = {
    "OpenAI SDK, /v1/chat/completions": (ask_openai, openai_features),
    "OpenAI SDK, /v1/responses": (ask_responses, responses_features),
    "Anthropic SDK, /v1/messages": (ask_anthropic, anthropic_features),
}


async def cell(clients: Clients, ask: Ask, feature: Feature, model: str, *, stream: bool) -> str:
    """works, ``told: ...``, ``refused: ...``, or ``LOST: ...`` when something is missing and nobody said so."""
    try:
        seen = await ask(clients, model, feature.body, stream=stream)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        reason = re.search(r"lacks [a-z_, ]+|: unsupported", error.message)
        return f"refused ({reason[0]})" if error.status_code == 400 and reason else f"LOST: {error}"
    named = [param for param in feature.params if param in seen.warnings]
    if named:
        return f"told ({named[0]})"
    if not feature.check(seen):
        return f"LOST: {seen}"
    return "works" if not seen.warnings else f"LOST: an unexpected warning: {seen.warnings}"


@asynccontextmanager
async def everything(folder: Path) -> AsyncIterator[RunningEdge]:
    """An edge in front of all five vendors."""
    async with AsyncExitStack() as stack:
        simulators = [await stack.enter_async_context(running(vendor)) for vendor in MODELS]
        yield await stack.enter_async_context(edge_here(folder, tuple(spec_of(each) for each in simulators)))


async def matrix(edge: RunningEdge, caller: str) -> dict[tuple[str, str], str]:
    """(feature, vendor) to what became of it, whole and streamed."""
    ask, features = CALLERS[caller]
    found = {}
    async with (
        openai.AsyncOpenAI(base_url=f"{edge.url}/v1", api_key=ADMIN, max_retries=0) as one,
        anthropic.AsyncAnthropic(base_url=edge.url, api_key=ADMIN, max_retries=0) as other,
    ):
        clients = Clients(one, other)
        for feature in features():
            for vendor, model in MODELS.items():
                whole = await cell(clients, ask, feature, model, stream=False)
                streamed = await cell(clients, ask, feature, model, stream=True)
                found[feature.name, vendor] = whole if whole == streamed else f"{whole}; streamed: {streamed}"
    return found


def rendered(tables: dict[str, dict[tuple[str, str], str]]) -> str:
    """The document."""
    lines = ["# What survives the translation", "", PREAMBLE]
    for caller, table in tables.items():
        lines += [
            "",
            f"## {caller}",
            "",
            f"| feature | {' | '.join(MODELS)} |",
            "|---|" + "---|" * len(MODELS),
        ]
        for name in dict.fromkeys(name for name, _ in table):
            lines.append(f"| {name} | {' | '.join(table[name, vendor] for vendor in MODELS)} |")
    return "\n".join(lines) + "\n"


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with everything(Path(folder)) as edge:
            tables = {caller: await matrix(edge, caller) for caller in CALLERS}
    DOCUMENT.write_text(rendered(tables), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
