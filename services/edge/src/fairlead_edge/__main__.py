"""``python -m fairlead_edge``: one edge process. Bad settings: one line, exit code 2."""

import asyncio
import gc
import sys

import uvloop
from fairlead_common.settings import SettingsError
from fairlead_common.telemetry import configure_logging
from fairlead_models.errors import ProvidersFileError

from fairlead_edge.app import environment, load, main


def run() -> None:
    """Entry point."""
    try:
        edge = load(environment())
    except (SettingsError, ProvidersFileError) as error:
        sys.stderr.write(f"fairlead edge: {error}\n")
        sys.exit(2)
    configure_logging(edge.settings.log_level)
    gc.freeze()  # what was loaded until here lives for ever: spare the collector walking it
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(edge))
    except OSError as error:
        where = f"{edge.settings.http_host}:{edge.settings.http_port}"
        sys.stderr.write(
            f"fairlead edge: cannot listen on {where}: {error}; choose another FAIRLEAD_HTTP_PORT\n"
        )
        sys.exit(2)


if __name__ == "__main__":
    run()
