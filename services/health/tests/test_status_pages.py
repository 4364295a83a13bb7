"""Status pages of vendors: what is read from them, over a real connection, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from fairlead_common.settings import SettingsError
from fairlead_health.domain.status_page import Page, UnreadablePage, page_of
from fairlead_health.settings import HealthSettings
from fairlead_health.status_pages import MAX_BYTES, StatusPages
from fairlead_models.transport.http1 import Http1Transport
from fairlead_simulator.testing import Running

from services.health.tests.running import Observer, providers_file, running


def summary(indicator: str, *incidents: str) -> dict[str, object]:
    """The parts of a ``summary.json`` that matter, and some that do not."""
    return {
        "page": {"id": "x", "name": "OpenAI"},
        "status": {"indicator": indicator, "description": "Partial outage"},
        "components": [{"name": "API", "status": "major_outage"}],
        "incidents": [{"name": name, "impact": indicator} for name in incidents],
        "scheduled_maintenances": [],
    }


@dataclass
class Vendor:
    """Serves its status page."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: int = 0


@asynccontextmanager
async def vendor() -> AsyncIterator[Vendor]:
    found = Vendor()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        found.asked += 1
        head = f"HTTP/1.1 {found.status} X\r\ncontent-length: {len(found.body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + found.body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2/summary.json"
        yield found


def test_a_summary_is_read() -> None:
    assert page_of(summary("major", "Errors in chat"), 5.0) == Page(
        "major", "Partial outage: Errors in chat", 5.0
    )
    assert page_of({"status": {"indicator": "none"}}, 5.0) == Page("none", "none", 5.0)
    assert len(page_of(summary("minor", *["long" * 50] * 9), 5.0).description) == 300


@pytest.mark.parametrize(
    "document", [None, [], {}, {"status": "ok"}, {"status": {"indicator": "fine"}}, {"status": {}}]
)
def test_what_is_no_summary_is_refused(document: object) -> None:
    with pytest.raises(UnreadablePage, match=r"status\.indicator one of none, minor, major"):
        page_of(document, 0.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [(503, b"{}"), (200, b"<html>"), (200, b"{}"), (200, b" " * (MAX_BYTES + 1)), (302, b"")],
)
async def test_a_page_that_cannot_be_read_says_nothing(status: int, body: bytes) -> None:
    pages: list[Page] = []
    async with vendor() as found:
        transport = Http1Transport()
        reader = StatusPages(transport, {"openai": found.url}, 60, lambda _, page: pages.append(page))
        found.status, found.body = status, body
        await reader.read_first()
        assert (found.asked, pages) == (1, [])
        found.status, found.body = 200, json.dumps(summary("none")).encode()
        await reader.read_first()
        assert [each.indicator for each in pages] == ["none"]
        await transport.close()


async def test_a_vendor_that_says_it_is_broken_is_degraded_with_evidence_also_after_a_take_over(
    nats_url: str, postgres_dsn: str, openai: Running, observer: Observer, tmp_path: Path
) -> None:
    async with vendor() as page:
        page.body = json.dumps(summary("major", "Errors in chat")).encode()
        providers = providers_file(tmp_path, openai=openai.url)
        rows = yaml.safe_load(providers.read_text())
        rows["providers"][0] |= {"status_page": page.url, "region": "eu"}
        providers.write_text(yaml.safe_dump(rows))
        async with running(nats_url, postgres_dsn, providers):
            state = await observer.until_status("openai", "degraded")
            assert (state.reason, state.region) == (
                "its status page says: Partial outage: Errors in chat",
                "eu",
            )
            assert {each.source for each in state.evidence} == {"active", "status_page"}
        async with running(nats_url, postgres_dsn, providers, "two"):
            await observer.until_alerts(["firing"], "alerts.warning.openai.degraded")
            page.body = json.dumps(summary("none")).encode()
        async with running(nats_url, postgres_dsn, providers, "three"):
            await observer.until_status("openai", "healthy")
        assert await observer.changes("openai") == ["healthy", "degraded", "healthy"]


def test_thresholds_are_read_from_the_environment() -> None:
    given = HealthSettings.from_env({"FAIRLEAD_STATUS": '{"failures_to_down": 5, "window_s": 60}'}).status
    assert (given.failures_to_down, given.window_s, given.min_calls) == (5, 60.0, 10)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            '{"failures_to_down": 0}',
            "FAIRLEAD_STATUS.failures_to_down: Input should be greater than or equal to 1",
        ),
        ('{"failures": 3}', "FAIRLEAD_STATUS.failures: Extra inputs are not permitted"),
        ('{"down_share": 0.05}', "recovered_share <= degraded_share <= down_share, found 0.05, 0.1, 0.05"),
        ('{"window_s": 3600}', "FAIRLEAD_STATUS.window_s: Input should be less than or equal to 300"),
        ("5 failures", "FAIRLEAD_STATUS: Value error, expected JSON like"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(status: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        HealthSettings.from_env({"FAIRLEAD_STATUS": status})
    assert reason in str(refused.value)


def test_a_monthly_budget_holds_a_day() -> None:
    with pytest.raises(SettingsError, match="at least the daily budget, which is 9"):
        HealthSettings.from_env({"FAIRLEAD_PROBE_DAILY_BUDGET_USD": "9"})
