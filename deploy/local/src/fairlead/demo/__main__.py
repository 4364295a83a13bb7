"""``python -m fairlead.demo DATA_DIR``: calls the edge of the run in that folder, for ever."""

import asyncio
import json
import logging
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from fairlead import run_file
from fairlead.data_dir import DataDir
from fairlead.demo import script
from fairlead.errors import FairleadError
from fairlead.local_http import Answer, request
from fairlead.run_file import RunFile

logger = logging.getLogger("fairlead.demo")

AT_ONCE = 24
CHAT_TIMEOUT_S = 120.0
SUMMARY_S = 60.0
RETRY_S = 5.0


class Demo:
    """The load of one run."""

    def __init__(self, run: RunFile, draw: random.Random) -> None:
        self._run = run
        self._draw = draw
        key = Path(run.api_key_file).read_text(encoding="ascii").strip()
        self._headers = {"Authorization": f"Bearer {key}"}
        self._outcomes: Counter[str] = Counter()

    async def work(self) -> None:
        """Chats, faults and tests, until cancelled."""
        models = await self._models()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._chat(models))
            group.create_task(self._break())
            group.create_task(self._test(models))
            group.create_task(self._summarise())

    async def _models(self) -> list[str]:
        """Every model of a simulated provider, once the edge tells."""
        while True:
            answer = await self._call("GET", "/v1/models")
            if answer is not None and answer.status == 200:
                break
            await asyncio.sleep(RETRY_S)
        names = [str(each["id"]) for each in answer.json()["data"]]
        return [name for name in names if name.partition("/")[0] in self._run.simulators and "/" in name]

    async def _call(self, method: str, path: str, body: object = None, edge: str = "") -> Answer | None:
        url = (edge or self._run.edge_url) + path
        try:
            return await request(method, url, body, self._headers, timeout_s=CHAT_TIMEOUT_S)
        except (OSError, TimeoutError):
            return None

    async def _chat(self, models: list[str]) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(script.pause_s(self._draw))
                await room.acquire()
                task = group.create_task(self._one(script.next_chat(models, self._draw)))
                task.add_done_callback(lambda _: room.release())

    async def _one(self, chat: script.Chat) -> None:
        edge = self._draw.choice(self._run.edge_urls)
        answer = await self._call("POST", "/v1/chat/completions", chat.body(), edge)
        self._outcomes[str(answer.status) if answer is not None else "no answer"] += 1

    async def _break(self) -> None:
        last: script.PlannedFault | None = None
        while self._run.simulators:
            last = script.next_fault(sorted(self._run.simulators), last, self._draw)
            await asyncio.sleep(last.wait_s)
            url = f"{self._run.simulators[last.provider].control_url}/_sim/faults/{last.kind}"
            try:
                await request("PUT", url, last.body())
            except (OSError, TimeoutError) as error:
                logger.warning("no fault for %s: %s", last.provider, error)
            else:
                logger.info("fault: %s %s for %.0f s", last.provider, last.kind, last.for_s)

    async def _test(self, models: list[str]) -> None:
        wait_s = script.FIRST_TEST_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = script.BETWEEN_TESTS_S
            body = script.next_test(models, f"demo-{time.strftime('%Y%m%d-%H%M%S')}", self._draw)
            answer = await self._call("POST", "/api/providers/ab-test", body)
            if answer is not None and answer.status == 201:
                logger.info("A/B test %s: %s", body["name"], " against ".join(body["providers"]))
            else:
                logger.warning("no A/B test: %s", answer.body[:200] if answer is not None else "no answer")

    async def _summarise(self) -> None:
        while True:
            await asyncio.sleep(SUMMARY_S)
            logger.info(
                "the last minute's chats by status: %s", json.dumps(dict(sorted(self._outcomes.items())))
            )
            self._outcomes.clear()


async def main(folder: DataDir) -> None:
    """Run until SIGTERM or SIGINT."""
    demo = Demo(run_file.read(folder), random.Random())  # noqa: S311 - a load, not a secret
    task = asyncio.ensure_future(demo.work())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        task.result()


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
    try:
        asyncio.run(main(DataDir.of(Path(sys.argv[1]))))
    except FairleadError as error:
        sys.exit(f"fairlead demo: {error}")
