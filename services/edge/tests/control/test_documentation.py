"""What every route of the control API owes its callers."""

from services.edge.tests.control.plane import Plane, problem


async def test_every_route_is_documented_and_refuses_callers(plane: Plane) -> None:
    documented = (await plane.admin.get("/api/openapi.json")).json()["paths"]
    assert len(documented) > 40
    caller = plane.edge.client("fl-caller-key-of-the-tests")
    for path, methods in documented.items():
        for method, operation in methods.items():
            assert operation.get("summary"), f"{method} {path} has no summary"
            filled = path
            for parameter in operation.get("parameters", ()):
                filled = filled.replace("{" + parameter["name"] + "}", "1")
            answer = await caller.request(method.upper(), filled, json={})
            assert (await problem(answer))[:2] == (403, "forbidden"), f"{method} {path}"
