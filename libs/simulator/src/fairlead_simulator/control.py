"""The control port of a simulated provider: latencies, faults, the log of requests, and what is on."""

import asyncio
from typing import Any

import orjson

from fairlead_simulator.faults import KINDS, FaultError, canonical
from fairlead_simulator.latency import LatencyError
from fairlead_simulator.server import Reply, Request
from fairlead_simulator.simulator import Simulator
from fairlead_simulator.vendors.vendor import JSON, dumps

PATHS = "/_sim/state, /_sim/latency, /_sim/faults/{kind}, /_sim/requests, /_sim/reset"


class Control:
    """Changes one simulator at run time."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._reopen: asyncio.TimerHandle | None = None

    async def handle(self, request: Request, reply: Reply) -> None:
        """Serve one request on the control port."""
        try:
            body = orjson.loads(request.body) if request.body else {}
        except orjson.JSONDecodeError as error:
            reply.send(400, JSON, dumps({"error": f"the body is not JSON: {error}"}))
            return
        try:
            found = await self._do(request.method, request.path.strip("/").split("/"), body)
        except (FaultError, LatencyError) as error:
            reply.send(422, JSON, dumps({"error": str(error)}))
            return
        if found is None:
            reply.send(404, JSON, dumps({"error": f"no such control; there are {PATHS}"}))
        else:
            reply.send(200, JSON, dumps(found))

    async def _do(self, method: str, parts: list[str], body: dict[str, Any]) -> dict[str, Any] | None:
        simulator = self._simulator
        match (method, *parts):
            case ("GET", "livez") | ("GET", "readyz"):
                return {"status": "ok"}
            case ("GET", "_sim", "state"):
                return self._state()
            case ("GET", "_sim", "requests"):
                return {"total": simulator.total, "requests": [vars(seen) for seen in simulator.log]}
            case ("PUT", "_sim", "latency"):
                simulator.latency.change(body)
            case ("PUT", "_sim", "faults", kind):
                self._switch_on(kind, body)
            case ("DELETE", "_sim", "faults", kind):
                simulator.faults.clear(kind)
                await self._open_port()
            case ("DELETE", "_sim", "faults"):
                simulator.faults.clear()
                await self._open_port()
            case ("POST", "_sim", "reset"):
                simulator.forget()
                await self._open_port()
            case _:
                return None
        return self._state()

    def _state(self) -> dict[str, Any]:
        simulator = self._simulator
        return {
            "vendor": simulator.vendor.name,
            "models": list(simulator.vendor.models),
            "latency": {name: vars(each) for name, each in vars(simulator.latency).items()},
            "faults": simulator.faults.listed(simulator.now),
            "known_faults": KINDS,
            "requests": simulator.total,
        }

    def _switch_on(self, kind: str, options: dict[str, Any]) -> None:
        simulator = self._simulator
        fault = simulator.faults.switch_on(kind, options, simulator.now)
        if simulator.data_port is None:
            return
        if canonical(kind) == "refuse":
            simulator.data_port.close()
            if fault.until is not None:
                loop = asyncio.get_running_loop()
                self._reopen = loop.call_at(fault.until, lambda: loop.create_task(self._open_port()))
        elif canonical(kind) == "down":
            for connection in tuple(simulator.data_port.connections):
                connection.abort()

    async def _open_port(self) -> None:
        simulator = self._simulator
        if simulator.data_port is not None and simulator.faults.active("refuse", simulator.now) is None:
            await simulator.data_port.open()
