"""Health and alerting over the control API, with the real service behind it."""

import asyncio

from fairlead_simulator.testing import Running

from services.edge.tests.control.plane import ASK, CHAT, Plane, problem


async def test_health(plane: Plane, vendors: dict[str, Running]) -> None:
    base = "/api/providers/health"
    assert (await problem(await plane.admin.get(base)))[:2] == (503, "service_unavailable")
    await plane.start("health", probe_interval_s=1, probe_interval_unwell_s=1, heartbeat_s=0.5)
    providers = await plane.until(
        base, lambda body: {"healthy"} == {each["status"] for each in body["providers"]}
    )
    assert {each["provider"] for each in providers["providers"]} == {"openai", "google"}
    assert (await plane.admin.get(f"{base}/openai")).json()["health"]["provider"] == "openai"
    assert (await plane.admin.get(f"{base}/openai/history")).status_code == 200
    status, _, message = await problem(await plane.admin.get(f"{base}/nobody"))
    assert status == 404
    assert "nobody" in message
    run = await plane.admin.post(f"{base}/probes/openai/run")
    assert run.status_code == 200
    assert {each["provider"] for each in (await plane.admin.get(f"{base}/probes")).json()["probes"]} == {
        "openai",
        "google",
    }
    status, code, message = await problem(
        await plane.admin.put(f"{base}/probes/openai", json={"interval_s": 0})
    )
    assert (status, code) == (422, "invalid_request")
    assert "body.interval_s" in message
    bad_limit = await plane.admin.get(f"{base}/alerts?limit=0")
    assert (await problem(bad_limit))[:2] == (422, "invalid_request")
    await vendors["openai"].fault("refuse")
    await plane.until(f"{base}/openai", lambda body: body["health"]["status"] == "down")
    alerts = await plane.until(f"{base}/alerts?active=true", lambda body: len(body["alerts"]) > 0)
    alert = alerts["alerts"][0]
    acknowledged = await plane.admin.post(f"{base}/alerts/{alert['alert_id']}/acknowledge", json={"by": "me"})
    assert acknowledged.status_code == 200
    (incident,) = (await plane.admin.get(f"{base}/incidents?provider=openai&limit=5")).json()["incidents"]
    assert (incident["provider"], incident["resolved_at"]) == ("openai", None)
    async with asyncio.timeout(30):
        while (await plane.admin.post(CHAT, json=ASK)).headers["x-fairlead-attempts"] != "1":
            await asyncio.sleep(0.02)


async def test_alerting(plane: Plane) -> None:
    base = "/api/providers/health/alerts"
    await plane.start("health")
    rules = (await plane.admin.get(f"{base}/rules")).json()
    assert rules["version"] == 0
    wrong = {
        "rules": [{"name": "mine", "kind": "error_rate", "severity": "info", "threshold": 2}],
        "by": "ann",
    }
    checked = await plane.admin.post(f"{base}/rules/validate", json=wrong)
    assert [each["where"] for each in checked.json()["problems"]] == ["rules[0].threshold"]
    status, code, message = await problem(await plane.admin.put(f"{base}/rules", json=wrong))
    assert (status, code) == (422, "invalid_rules")
    assert message.startswith("rules[0].threshold: Input should be less than 1")
    right = {"rules": rules["rules"][:1], "by": "ann", "replaces": 0}
    assert (await plane.admin.put(f"{base}/rules", json=right)).json()["version"] == 1
    assert (await problem(await plane.admin.put(f"{base}/rules", json=right)))[:2] == (409, "other_version")
    assert (await plane.admin.get(f"{base}/rules/versions")).json()["versions"][0]["set_by"] == "ann"

    silence = {
        "matchers": {"provider": "openai"},
        "ends_at": "2100-01-01T00:00:00Z",
        "reason": "a drill",
        "by": "ann",
    }
    made = await plane.admin.post(f"{base}/silences", json=silence)
    assert made.status_code == 201
    assert (await problem(await plane.admin.post(f"{base}/silences", json=silence)))[1] == "invalid_silence"
    assert (await plane.admin.get(f"{base}/silences")).json()["silences"] == [made.json()]
    assert (await plane.admin.delete(f"{base}/silences/{made.json()['id']}")).status_code == 200
    assert (await plane.admin.get(f"{base}/silences")).json() == {"silences": []}

    hook = {"name": "hook", "kind": "webhook", "url": "http://127.0.0.1:9/"}
    secret = {"notifiers": [{**hook, "url": "${OPENAI_API_KEY}"}], "by": "ann"}
    checked = await plane.admin.post(f"{base}/notifiers/validate", json=secret)
    assert "only variables NOTIFIER_" in checked.json()["problems"][0]["message"]
    put = await plane.admin.put(f"{base}/notifiers", json={"notifiers": [hook], "by": "ann"})
    assert put.json()["notifiers"] == (await plane.admin.get(f"{base}/notifiers")).json()["notifiers"]
    tested = (await plane.admin.post(f"{base}/notifiers/hook/test")).json()
    assert (tested["fired"]["ok"], tested["fired"]["error"].partition(":")[0]) == (False, "ConnectFailed")
    log = await plane.admin.get("/api/providers/health/deliveries?notifier=hook&state=waiting")
    assert (log.status_code, log.json()) == (200, {"deliveries": []})
