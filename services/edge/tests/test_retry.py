"""The only target there is: when it is tried once more, after how long, and when not."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.access import WorkspaceSettings
from fairlead_common.outcomes import CallState, ErrorClass
from fairlead_edge.dataplane.retry import pause_s
from fairlead_edge.http.messages import Request, ResponseWriter
from fairlead_models.errors import ProviderError

from tests.support.edge import edge_here, journalled
from tests.support.upstream import upstream
from tests.support.waiting import until

CHAT = "/v1/chat/completions"
EVENTS = {"content-type": "text/event-stream"}
BODY: dict[str, Any] = {"model": "openai/known-to-none", "messages": [{"role": "user", "content": "Count"}]}


@pytest.mark.parametrize(
    ("error_class", "retry_after_s", "expected"),
    [
        (ErrorClass.SERVER_ERROR, None, (0.0, 0.25)),
        (ErrorClass.CONNECT, None, (0.0, 0.25)),
        (ErrorClass.OVERLOADED, 1.0, (1.0, 1.25)),
        (ErrorClass.OVERLOADED, 2.5, None),
        (ErrorClass.RATE_LIMITED, 2.0, (2.0, 2.25)),
        (ErrorClass.RATE_LIMITED, None, None),
        (ErrorClass.QUOTA_EXHAUSTED, 1.0, None),
        (ErrorClass.TIMEOUT_FIRST_TOKEN, None, None),
        (ErrorClass.AUTH, None, None),
        (ErrorClass.BAD_REQUEST, None, None),
    ],
)
def test_what_may_be_over_in_a_moment_is_waited_for_with_jitter(
    error_class: ErrorClass, retry_after_s: float | None, expected: tuple[float, float] | None
) -> None:
    error = ProviderError(error_class, "no", retry_after_s=retry_after_s)
    waits = (pause_s(error, 0.0), pause_s(error, 0.5))
    assert waits == (expected or (None, None))


@dataclass
class Flaky:
    """A provider that gives one bad answer after another, and good ones from then on."""

    failures: list[Callable[[ResponseWriter], None]]
    asked: list[Any] = field(default_factory=list)

    async def handle(self, request: Request, writer: ResponseWriter) -> None:
        """Answer as ``upstream`` wants it."""
        self.asked.append(json.loads(request.body))
        if len(self.asked) <= len(self.failures):
            self.failures[len(self.asked) - 1](writer)
        elif self.asked[-1].get("stream"):
            writer.start(200, EVENTS)
            writer.end(said("One two three", "stop"))
        else:
            message = {"role": "assistant", "content": "One two three"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            writer.send(200, {"content-type": "application/json"}, json.dumps({"choices": [choice]}).encode())


def said(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def refuse(status: int, **headers: str) -> Callable[[ResponseWriter], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda writer: writer.send(status, named, b"{}")


def break_off(writer: ResponseWriter) -> None:
    writer.start(200, EVENTS)
    writer.end(said("One two"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", [refuse(500), refuse(429, retry_after="1")], ids=["500", "429"])
async def test_a_moment_later_the_only_target_answers(
    tmp_path: Path, failure: Callable[[ResponseWriter], None], stream: bool
) -> None:
    flaky = Flaky([failure])
    async with upstream(flaky.handle) as spec, edge_here(tmp_path, (spec,)) as edge:
        answer = await edge.client().post(CHAT, json={**BODY, "stream": stream})
        assert (answer.status_code, answer.headers["x-fairlead-attempts"]) == (200, "2")
        (call,) = await journalled(edge, 1)
        assert [attempt.reason for attempt in call.attempts] == ["primary", "retry"]
        assert (call.state, call.failover) == (CallState.OK, False)
        waited_ms = call.attempts[1].offset_ms - call.attempts[0].duration_ms
        assert waited_ms >= 1000 * (call.attempts[0].retry_after_s or 0)
        assert edge.fleet.in_flight.total() == 0


async def test_it_is_tried_twice_and_not_three_times(tmp_path: Path) -> None:
    flaky = Flaky([refuse(500)] * 2)
    async with upstream(flaky.handle) as spec, edge_here(tmp_path, (spec,)) as edge:
        answer = await edge.client().post(CHAT, json=BODY)
        assert (answer.status_code, answer.headers["x-fairlead-attempts"]) == (503, "2")
        assert len(flaky.asked) == 2


@pytest.mark.parametrize(
    "headers",
    [{"x-fairlead-failover": "off"}, {"x-fairlead-timeout-ms": "900"}],
    ids=["failover off", "no time"],
)
async def test_who_does_not_want_to_wait_is_told_at_once(tmp_path: Path, headers: dict[str, str]) -> None:
    flaky = Flaky([refuse(503, retry_after="1")])
    async with upstream(flaky.handle) as spec, edge_here(tmp_path, (spec,)) as edge:
        answer = await edge.client(**headers).post(CHAT, json=BODY)
        assert (answer.status_code, answer.headers["x-fairlead-attempts"]) == (503, "1")


async def test_a_caller_who_leaves_during_the_pause_ends_it(tmp_path: Path) -> None:
    flaky = Flaky([refuse(503, retry_after="2")])
    async with upstream(flaky.handle) as spec, edge_here(tmp_path, (spec,)) as edge:
        asking = asyncio.create_task(edge.client().post(CHAT, json=BODY))
        await until(lambda: bool(flaky.asked) and edge.fleet.in_flight.total() == 0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        (call,) = await journalled(edge, 1)
        assert (call.state, len(call.attempts), len(flaky.asked)) == (CallState.ABORTED, 1, 1)


async def test_a_broken_answer_is_continued_by_its_only_target(tmp_path: Path) -> None:
    flaky = Flaky([break_off])
    settings = WorkspaceSettings(stream_failure="continue")
    async with upstream(flaky.handle) as spec, edge_here(tmp_path, (spec,), workspace=settings) as edge:
        answer = await edge.client().post(CHAT, json={**BODY, "stream": True})
        assert [piece for piece in ("One two", ": fairlead", " three", "[DONE]") if piece in answer.text] == [
            "One two",
            ": fairlead",
            " three",
            "[DONE]",
        ]
        assert "One two three" not in answer.text
        (call,) = await journalled(edge, 1)
        assert (call.state, call.continued, len(call.attempts)) == (CallState.OK, 1, 2)
