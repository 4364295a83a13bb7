"""Readiness while a service is still being put together."""

from fairlead_common.readiness import Check, run_checks


async def test_a_check_that_is_added_meanwhile_is_asked_next_time() -> None:
    checks: dict[str, Check] = {}

    async def late() -> None: ...

    async def first() -> None:
        checks["late"] = late

    checks["first"] = first
    assert await run_checks(checks) == {"first": "ok"}
    assert await run_checks(checks) == {"first": "ok", "late": "ok"}
