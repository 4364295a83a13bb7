"""Followers on a real server: values arrive, survive a killed server, and a restart without any."""

import asyncio
from pathlib import Path

import pytest
from fairlead_common.bus.connection import connect
from fairlead_common.snapshots.follower import SnapshotFollower
from fairlead_common.snapshots.publisher import SnapshotPublisher
from nats.aio.client import Client

from tests.support.servers import NatsServer
from tests.support.waiting import until


async def test_values_arrive_change_and_vanish(nats_client: Client) -> None:
    publisher = SnapshotPublisher(nats_client, "routes")
    follower = SnapshotFollower[bytes]("routes", bytes)
    await publisher.put("1", b"one")
    task = asyncio.create_task(follower.follow(nats_client))
    await follower.synced.wait()
    assert dict(follower) == {"1": b"one"}
    await publisher.put("1", b"two")
    await until(lambda: follower.get("1") == b"two")
    await publisher.delete("1")
    await until(lambda: "1" not in follower)
    task.cancel()


async def test_an_unchanged_value_is_not_written_again(nats_client: Client) -> None:
    publisher = SnapshotPublisher(nats_client, "routes")
    assert await publisher.put("1", b"one")
    assert not await publisher.put("1", b"one")
    assert await publisher.read("1") == (1, b"one")


async def test_what_another_replica_wrote_in_between_is_written_over(nats_client: Client) -> None:
    ours, theirs = (SnapshotPublisher(nats_client, "routes", trust_s=0) for _ in range(2))
    assert await ours.put("1", b"ours")
    assert await theirs.put("1", b"theirs")
    assert await ours.put("1", b"ours")
    assert not await SnapshotPublisher(nats_client, "routes").put("1", b"ours")
    assert await ours.read("1") == (3, b"ours")


async def test_keys_are_those_that_have_a_value(nats_client: Client) -> None:
    publisher = SnapshotPublisher(nats_client, "routes")
    assert await publisher.keys() == []
    for key in ("2", "1", "3"):
        await publisher.put(key, b"x")
    await publisher.delete("3")
    assert await publisher.keys() == ["1", "2"]


async def test_a_disk_that_takes_nothing_keeps_no_news_back(
    nats_client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "full").touch()
    disk = tmp_path / "full" / "routes.json"
    follower = SnapshotFollower[bytes]("routes", bytes, disk=disk)
    publisher = SnapshotPublisher(nats_client, "routes")
    task = asyncio.create_task(follower.follow(nats_client))
    await follower.synced.wait()
    for value in (b"one", b"two", b"three"):
        await publisher.put("1", value)
        await until(lambda expected=value: follower.get("1") == expected)  # type: ignore[misc]
    await until(lambda: "cannot be written" in caplog.text)
    (tmp_path / "full").unlink()
    await until(disk.exists)
    task.cancel()
    assert caplog.text.count("cannot be written") == 1


async def test_the_copy_on_disk_serves_without_a_bus(nats_client: Client, tmp_path: Path) -> None:
    disk = tmp_path / "routes.json"
    first = SnapshotFollower[bytes]("routes", bytes, disk=disk)
    await SnapshotPublisher(nats_client, "routes").put("1", b"one")
    task = asyncio.create_task(first.follow(nats_client))
    await first.synced.wait()
    await until(disk.exists)
    task.cancel()
    second = SnapshotFollower[bytes]("routes", bytes, disk=disk)
    assert second.load_disk()
    assert dict(second) == {"1": b"one"}
    assert disk.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_copy_is_ignored(tmp_path: Path) -> None:
    disk = tmp_path / "routes.json"
    disk.write_text("{")
    assert not SnapshotFollower[bytes]("routes", bytes, disk=disk).load_disk()


async def test_a_killed_server_is_followed_again(nats_server: NatsServer) -> None:
    client = await connect(nats_server.url, "follower")
    follower = SnapshotFollower[bytes]("routes", bytes)
    await SnapshotPublisher(client, "routes").put("1", b"one")
    task = asyncio.create_task(follower.follow(client))
    await follower.synced.wait()
    nats_server.kill()
    assert follower["1"] == b"one"
    nats_server.start()
    await nats_server.ready()
    other = await connect(nats_server.url, "writer")
    await SnapshotPublisher(other, "routes").put("1", b"two")
    await until(lambda: follower.get("1") == b"two")
    task.cancel()
    await other.close()
    await client.close()
