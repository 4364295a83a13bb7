"""``python -m fairlead_simulator --vendor openai``: one simulated provider as a process."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import uvloop

from fairlead_simulator.control import Control
from fairlead_simulator.latency import LatencyError
from fairlead_simulator.server import Listener
from fairlead_simulator.simulator import SPEAKERS, Simulator


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line; exits with code 2 on a mistake."""
    parser = argparse.ArgumentParser(prog="fairlead-simulator", description="A simulated LLM provider.")
    parser.add_argument(
        "--vendor", required=True, choices=sorted(SPEAKERS), help="whose wire format to speak"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="port of the provider's API (0: any free one)")
    parser.add_argument(
        "--control-port", type=int, default=0, help="port of the control API (0: any free one)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of answers and latencies")
    parser.add_argument("--latency", default="{}", help="JSON: first_token, between_tokens, whole")
    parser.add_argument("--ready-file", type=Path, help="where to write the line that says it is ready")
    return parser.parse_args(argv)


async def main(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT."""
    simulator = Simulator(SPEAKERS[options.vendor](), seed=options.seed)
    simulator.latency.change(json.loads(options.latency))
    data = simulator.data_port = Listener(simulator.handle, options.host, options.port)
    control = Listener(Control(simulator).handle, options.host, options.control_port)
    await data.open()
    await control.open()
    ready = {
        "vendor": options.vendor,
        "url": f"http://{options.host}:{data.port}",
        "control_url": f"http://{options.host}:{control.port}",
        "pid": os.getpid(),
    }
    line = json.dumps(ready)
    if options.ready_file is not None:
        temporary = options.ready_file.with_suffix(".new")
        temporary.write_text(line + "\n", encoding="utf-8")
        temporary.replace(options.ready_file)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    data.close()
    control.close()


if __name__ == "__main__":
    try:
        uvloop.run(main(arguments(sys.argv[1:])))
    except (LatencyError, ValueError) as error:
        sys.exit(f"fairlead-simulator: --latency: {error}")
    except OSError as error:
        sys.stderr.write(f"fairlead-simulator: cannot listen: {error}; choose another --port\n")
        sys.exit(2)
