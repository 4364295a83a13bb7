"""Journal and shipper: nothing that was journalled is lost, whenever the process dies and whatever is away."""

import asyncio
import json
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fairlead_common.events.calls import CallsCompleted
from fairlead_edge.outcomes import journal as journals
from fairlead_edge.outcomes.journal import Frame, Journal, JournalInUse
from fairlead_edge.outcomes.shipper import Shipper
from nats.aio.client import Client

from tests.support.servers import NatsServer
from tests.support.waiting import until


def call(number: int, **more: Any) -> dict[str, Any]:
    return {
        "call_id": f"call-{number}",
        "requested_model": "auto",
        "started_at": "2026-11-25T12:00:00+00:00",
        "state": "ok",
        "status": 200,
        "duration_ms": 1.0,
        **more,
    }


def ids(frame: Frame | None) -> list[str]:
    assert frame is not None
    return [each["call_id"] for each in json.loads(b"[" + frame.calls + b"]")]


def drained(journal: Journal) -> list[str]:
    """Every call that is waiting, in order; the journal is empty afterwards."""
    journal.rotate()
    found: list[str] = []
    while (frame := journal.oldest()) is not None:
        found += ids(frame)
        journal.sent(frame.event_id)
    return found


@contextmanager
def reopened(folder: Path, **options: Any) -> Iterator[Journal]:
    journal = Journal(folder, **options)
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """The kernel writes no file beyond ``size``: first a short write, then an error, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_calls_come_out_in_order_and_once(tmp_path: Path) -> None:
    with reopened(tmp_path) as journal:
        for number in range(1000):
            journal.append(call(number))
        assert (journal.pending, journal.open_calls) == (2, 200)
        assert drained(journal) == [f"call-{number}" for number in range(1000)]
        assert journal.oldest() is None
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_segment_that_was_not_sent_keeps_its_event_id(tmp_path: Path) -> None:
    with reopened(tmp_path) as journal:
        journal.append(call(1))
        journal.rotate()
        first = journal.oldest()
        assert first == journal.oldest()
    with reopened(tmp_path) as journal:
        assert journal.oldest() == first


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    with reopened(tmp_path) as journal:
        journal.append(call(1))
        journal.append(call(2))
    path = next(tmp_path.glob("*.jsonl"))
    path.write_bytes(path.read_bytes()[:-5])
    (tmp_path / "0-torn-from-the-start.jsonl").write_bytes(b'{"call_id": "ca')
    (tmp_path / "1-empty.jsonl").touch()
    with reopened(tmp_path) as journal:
        assert drained(journal) == ["call-1"]
    assert list(tmp_path.glob("*.jsonl")) == []


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    with reopened(tmp_path), pytest.raises(JournalInUse, match="its own folder"):
        Journal(tmp_path)


def test_a_full_disk_loses_nothing_while_the_process_lives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with reopened(tmp_path) as journal:
        with files_at_most(1000):
            for number in range(1000):
                journal.append(call(number))
        journal.append(call(1000))
        assert sorted(drained(journal)) == sorted(f"call-{number}" for number in range(1001))
        assert journal.lost_calls == 0
    assert "cannot be written" in caplog.text


def test_memory_is_bounded_with_disk_and_bus_away(tmp_path: Path) -> None:
    with reopened(tmp_path, memory_bytes=10_000) as journal:
        with files_at_most(0):
            for number in range(1000):
                journal.append(call(number))
        kept = drained(journal)
        assert kept == [f"call-{number}" for number in range(len(kept))]
        assert 0 < len(kept) < 200
        assert journal.lost_calls == 1000 - len(kept)
        with files_at_most(0):
            journal.append(call(1))
        assert drained(journal) == ["call-1"]
    assert list(tmp_path.glob("*.jsonl")) == []


def test_the_disk_is_bounded_with_the_bus_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_CALLS", 10)
    with reopened(tmp_path, max_bytes=20_000) as journal:
        for number in range(1000):
            journal.append(call(number))
        assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) < 25_000
        kept = drained(journal)
        assert journal.lost_calls == 1000 - len(kept)
        assert kept == [f"call-{number}" for number in range(1000 - len(kept), 1000)]
        assert journal.pending_bytes == 0


def test_a_segment_dropped_while_it_is_sent_takes_no_other_with_it(tmp_path: Path) -> None:
    with reopened(tmp_path, max_bytes=200) as journal:
        for number in range(2):
            journal.append(call(number))
            journal.rotate()
        sending = journal.oldest()
        assert sending is not None
        journal.append(call(2))
        journal.rotate()
        journal.sent(sending.event_id)
        assert drained(journal)[-1] == "call-2"


def test_an_unreadable_segment_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "0.jsonl").mkdir()
    with reopened(tmp_path) as journal:
        journal.append(call(1))
        assert drained(journal) == ["call-1"]


async def frames(client: Client) -> list[CallsCompleted]:
    """Every frame in the stream."""
    jetstream = client.jetstream()
    last = (await jetstream.stream_info("CALLS")).state.last_seq
    found = [await jetstream.get_msg("CALLS", seq=number) for number in range(1, last + 1)]
    return [CallsCompleted.model_validate_json(each.data or b"") for each in found]


async def test_outcomes_arrive_as_one_event_per_segment(tmp_path: Path, nats_client: Client) -> None:
    with reopened(tmp_path) as journal:
        shipper = Shipper(journal, "edge.1")
        running = asyncio.create_task(shipper.run(nats_client))
        for number in range(450):
            journal.append(call(number))
        await until(lambda: shipper.frames_sent == 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    found = await frames(nats_client)
    assert [len(frame.calls) for frame in found] == [400, 50]
    assert {frame.subject for frame in found} == {"calls.completed.edge_1"}
    assert [each.call_id for frame in found for each in frame.calls] == [f"call-{i}" for i in range(450)]


async def test_outcomes_wait_for_the_bus_in_few_segments(
    tmp_path: Path, nats_server: NatsServer, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead_edge.outcomes.shipper.TIMEOUT_S", 0.1)
    monkeypatch.setattr("fairlead_edge.outcomes.shipper.RETRY_S", 0.05)
    with reopened(tmp_path) as journal:
        shipper = Shipper(journal, "edge")
        running = asyncio.create_task(shipper.run(nats_client))
        nats_server.kill()
        await until(lambda: not nats_client.is_connected)
        for number in range(20):
            journal.append(call(number))
            await asyncio.sleep(0.02)
        assert journal.pending == 1
        nats_server.start()
        await nats_server.ready()
        await until(lambda: not journal.pending and not journal.open_calls)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    counted = Counter(each.call_id for frame in await frames(nats_client) for each in frame.calls)
    assert counted.keys() == {f"call-{number}" for number in range(20)}


async def test_flush_gives_up_and_leaves_the_rest_on_disk(
    tmp_path: Path, nats_server: NatsServer, nats_client: Client
) -> None:
    with reopened(tmp_path) as journal:
        journal.append(call(1))
        nats_server.kill()
        await Shipper(journal, "edge").flush(nats_client, 0.1)
    with reopened(tmp_path) as journal:
        assert drained(journal) == ["call-1"]


CHILD = '''
"""Journals and ships three calls; kills itself with SIGKILL at step number argv[3]."""
import asyncio, os, signal, sys
from pathlib import Path
from fairlead_common.bus.connection import connect
from fairlead_edge.outcomes.journal import Journal
from fairlead_edge.outcomes.shipper import Shipper

url, folder, fatal, prefix = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
steps = 0

def step():
    global steps
    steps += 1
    if steps == fatal:
        os.kill(os.getpid(), signal.SIGKILL)

def around(owner, name):
    real = getattr(owner, name)
    def called(*args, **options):
        step()
        found = real(*args, **options)
        step()
        return found
    setattr(owner, name, called)

async def main():
    journal = Journal(folder)
    client = await connect(url, "child")
    real = client.publish
    async def publish(*args, **options):
        step()
        await real(*args, **options)
        await client.flush()
        step()
    for name in ("open", "write", "close", "unlink"):
        around(os, name)
    client.publish = publish
    for number in range(3):
        call = {"call_id": f"{prefix}-{number}", "requested_model": "m", "state": "ok", "status": 200,
                "started_at": "2026-11-25T12:00:00+00:00", "duration_ms": 1.0}
        journal.append(call)
        sys.stdout.write(call["call_id"] + "\\n")
        sys.stdout.flush()
    await Shipper(journal, "edge").flush(client, 20)
    print("done", steps)
    await client.close()

asyncio.run(main())
'''


async def test_kill_9_between_any_two_steps_loses_nothing(
    tmp_path: Path, nats_url: str, nats_client: Client
) -> None:
    journalled: list[str] = []
    fatal, done = 1, False
    while not done:
        command = [
            sys.executable,
            "-c",
            CHILD,
            nats_url,
            str(tmp_path / "journal"),
            str(fatal),
            f"life{fatal}",
        ]
        output = (
            await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
        ).stdout.split()
        done = "done" in output
        journalled += [line for line in output if line.startswith("life")]
        fatal += 1
    assert fatal > 12, "every step of one life was fatal once"
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["lock"]
    found = await frames(nats_client)
    assert len({frame.event_id for frame in found}) == len(found), "a frame sent again has the same event id"
    counted = Counter(each.call_id for frame in found for each in frame.calls)
    assert set(journalled) <= counted.keys()
    assert set(counted.values()) == {1}
