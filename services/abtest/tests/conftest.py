"""The abtest service on a real bus and database, in this process or as one of its own, with real simulators."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fairlead_abtest.app import wire
from fairlead_abtest.settings import AbtestSettings
from fairlead_common.bus.rpc import RpcClient, RpcUnavailable
from fairlead_common.db.database import Database
from fairlead_common.events.abtest import TestResultRecorded
from fairlead_common.events.calls import Call, CallsCompleted
from fairlead_common.operations import ab_results
from fairlead_common.operations import abtest as ops
from fairlead_common.service import run
from fairlead_simulator.testing import FAST, Running, running
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import SecretStr

from tests.support.servers import NatsServer, free_port

MODELS = {
    "openai": "gpt-5.4-mini",
    "anthropic": "claude-haiku-5-5",
    "google": "gemini-3.8-flash",
    "mistral": "mistral-medium-3-5",
    "cohere": "command-a-03-2025",
}


@dataclass
class Recorder:
    """Stands where comparison stands: keeps what the streams carry, and answers its RESULTS from that."""

    client: Client
    results: dict[str, TestResultRecorded] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    page_size: int = 5
    """Results in one reply: small, so that asking on is always put to the test."""
    answering: Subscription | None = None

    async def start(self) -> None:
        jetstream = self.client.jetstream()
        await jetstream.subscribe("abtest.results.>", cb=self._result, ordered_consumer=True)
        await jetstream.subscribe("calls.completed.>", cb=self._frame, ordered_consumer=True)
        await self.come_back()

    async def come_back(self) -> None:
        self.answering = await self.client.subscribe(ab_results.RESULTS.subject, cb=self._answer)
        await self.client.flush()
        await self.client.flush()

    async def go_away(self) -> None:
        if self.answering is not None:
            await self.answering.unsubscribe()
            await self.client.flush()

    async def _result(self, message: Msg) -> None:
        event = TestResultRecorded.model_validate_json(message.data)
        self.published.append(event.event_id)
        self.results.setdefault(event.event_id, event)

    async def _frame(self, message: Msg) -> None:
        self.calls += CallsCompleted.model_validate_json(message.data).calls

    async def _answer(self, message: Msg) -> None:
        asked = ab_results.OfTest.model_validate_json(message.data)
        rows = [
            ab_results.TestResult.model_validate(
                {**event.model_dump(), "ab_test_id": event.test_id, "cost": event.cost_usd}
            )
            for event in sorted(self.results.values(), key=_place)
            if event.test_id == asked.test_id and _place(event) > _place(asked.after)
        ]
        page = rows[: min(asked.limit, self.page_size)]
        following = (
            ab_results.ResultKey.model_validate(page[-1], from_attributes=True)
            if len(page) < len(rows)
            else None
        )
        reply = ab_results.TestResults(results=page, next=following).model_dump_json().encode()
        await message.respond(b'{"ok":' + reply + b"}")


def _place(of: TestResultRecorded | ab_results.ResultKey) -> tuple[int, int, str, str]:
    return of.prompt_index, of.repeat, of.provider, of.model


class Bench:
    """Everything a test of the service needs."""

    def __init__(
        self, nats: NatsServer, dsn: str, client: Client, folder: Path, recorder: Recorder, claim_s: float
    ) -> None:
        self.nats = nats
        self.client = client
        self.recorder = recorder
        self.rpc = RpcClient(client)
        self.simulators: dict[str, Running] = {}
        self._dsn = dsn
        self._folder = folder
        self._claim_s = claim_s
        self._stack = AsyncExitStack()
        self.database = Database(dsn)

    async def simulate(self, *vendors: str, latency: str = FAST) -> None:
        """Start simulators, and write the providers file that leads to them."""
        found = await asyncio.gather(
            *(self._stack.enter_async_context(running(each, latency=latency)) for each in vendors)
        )
        self.simulators |= dict(zip(vendors, found, strict=True))
        rows = [
            {
                "name": name,
                "base_url": each.url + ("/v1" if name == "openai" else ""),
                "api_key": "${ABTEST_SIMULATOR_KEY}",
            }
            for name, each in self.simulators.items()
        ]
        self.providers_file.write_text(yaml.safe_dump({"providers": rows}))

    @property
    def providers_file(self) -> Path:
        return self._folder / "providers.yaml"

    def settings(self, **more: Any) -> AbtestSettings:
        return AbtestSettings(
            nats_url=SecretStr(self.nats.url),
            postgres_dsn=SecretStr(self._dsn),
            http_port=free_port(),
            providers_file=self.providers_file,
            claim_s=self._claim_s,
            **more,
        )

    @asynccontextmanager
    async def service(self, **more: Any) -> AsyncIterator[None]:
        """The service in this process, ready."""
        settings, stop = self.settings(**more), asyncio.Event()
        task = asyncio.create_task(run("abtest", settings, wire, stop))
        try:
            await self._ready(settings.http_port, task.done)
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 40)

    async def process(self, **more: Any) -> asyncio.subprocess.Process:
        """The service as a process of its own; killed at the end of the test when it is still there."""
        settings = self.settings(**more)
        own = {
            "FAIRLEAD_PROVIDERS_FILE": str(self.providers_file),
            "FAIRLEAD_CLAIM_S": str(settings.claim_s),
            "FAIRLEAD_CALLS_AT_ONCE": str(settings.calls_at_once),
            "ABTEST_SIMULATOR_KEY": "sk-test",
        }
        return await self._start("fairlead_abtest", own)

    async def comparison(self) -> asyncio.subprocess.Process:
        """The real comparison service as a process, in the place of the recorder."""
        await self.recorder.go_away()
        return await self._start("fairlead_comparison", {})

    async def _start(self, module: str, own: dict[str, str]) -> asyncio.subprocess.Process:
        port = free_port()
        shared = {
            "FAIRLEAD_NATS_URL": self.nats.url,
            "FAIRLEAD_POSTGRES_DSN": self._dsn,
            "FAIRLEAD_HTTP_PORT": str(port),
            "FAIRLEAD_LOG_LEVEL": "WARNING",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env={**kept, **shared, **own}
        )
        self._stack.push_async_callback(_end, started)
        await self._ready(port, lambda: started.returncode is not None)
        return started

    @staticmethod
    async def _ready(port: int, ended: Callable[[], bool]) -> None:
        """Wait until the service on that port is ready; at once when it has ended."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(60):
            while not ended():
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.02)
        raise RuntimeError("the service ended instead of becoming ready; its output says why")

    async def create(self, workspace_id: int = 1, **fields: Any) -> ops.Test:
        test = ops.TestIn.model_validate(fields)
        return await self.rpc.call(ops.CREATE, ops.CreateTest(workspace_id=workspace_id, test=test))

    async def get(self, test_id: int, workspace_id: int = 1) -> ops.Test:
        return await self.rpc.call(ops.GET, ops.OneTest(workspace_id=workspace_id, test_id=test_id))

    async def analysis(self, test_id: int) -> ops.Analysis:
        return await self.rpc.call(ops.ANALYSIS, ops.OneTest(workspace_id=1, test_id=test_id))

    async def until(
        self, test_id: int, condition: Callable[[ops.Test], bool], timeout_s: float = 60
    ) -> ops.Test:
        """Wait until the test is as wanted."""

        async def met() -> ops.Test | None:
            try:
                found = await self.get(test_id)
            except RpcUnavailable:
                return None
            return found if condition(found) else None

        return await self.eventually(met, timeout_s)

    async def completed(self, test_id: int, timeout_s: float = 60) -> ops.Test:
        return await self.until(test_id, lambda test: test.status == "completed", timeout_s)

    @staticmethod
    async def eventually(attempt: "Callable[[], Awaitable[ops.Test | None]]", timeout_s: float) -> ops.Test:
        async with asyncio.timeout(timeout_s):
            while True:
                if (found := await attempt()) is not None:
                    return found
                await asyncio.sleep(0.05)

    async def stored(self, stream: str) -> list[bytes]:
        """Every message of a stream, in order: what was really put there, however often anybody read it."""
        jetstream = self.client.jetstream()
        state = (await jetstream.stream_info(stream)).state
        return [
            (await jetstream.get_msg(stream, seq)).data or b""
            for seq in range(state.first_seq, state.last_seq + 1)
        ]

    async def requests(self) -> int:
        """Calls that all simulators have seen."""
        states = await asyncio.gather(
            *(each.control("GET", "/_sim/state") for each in self.simulators.values())
        )
        return sum(state["requests"] for state in states)

    async def close(self) -> None:
        await self._stack.aclose()
        await self.database.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
async def bench(
    nats_server: NatsServer,
    postgres_dsn: str,
    nats_client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Bench]:
    monkeypatch.setenv("ABTEST_SIMULATOR_KEY", "sk-test")
    recorder = Recorder(nats_client)
    await recorder.start()
    found = Bench(nats_server, postgres_dsn, nats_client, tmp_path, recorder, claim_s=2.0)
    yield found
    await found.close()
