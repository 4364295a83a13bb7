"""The command line: words to options, options to commands, errors to one line and an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fairlead.errors import BadInput, FairleadError
from fairlead.options import UpOptions

DEFAULT_DATA_DIR = Path(".fairlead")
DESCRIPTION = "Fairlead keeps an organisation's LLM traffic on the best provider."


class _Parser(argparse.ArgumentParser):
    """Mistakes are one line that begins like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; `{self.prog} --help` shows what there is")


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    root = _Parser(prog="fairlead", description=DESCRIPTION, allow_abbrev=False)
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    _add_up(commands)
    return root


def _command(
    commands: "argparse._SubParsersAction[_Parser]", name: str, text: str
) -> argparse.ArgumentParser:
    made = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    made.add_argument(
        "--data-dir",
        type=Path,
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        help="folder of the run (default: %(default)s)",
    )
    return made


def _add_up(commands: "argparse._SubParsersAction[_Parser]") -> None:
    up = _command(commands, "up", "run everything here: NATS, Postgres, every service, simulated providers")
    up.add_argument(
        "--port", type=_port, default=8080, help="of the edge (default: %(default)s; 0: any free one)"
    )
    up.add_argument("--no-simulators", action="store_true", help="only providers that have a key")
    up.add_argument(
        "--providers", type=Path, metavar="FILE", help="YAML file of providers (default: the five built-in)"
    )
    up.add_argument("--demo", action="store_true", help="add a gentle load, with a fault now and then")
    up.add_argument("--edges", type=_count, default=1, metavar="N", help="edge processes (default: 1)")
    up.add_argument("--replicas", type=_count, default=1, metavar="N", help="of each service (default: 1)")
    up.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="SERVICE.NAME=VALUE",
        help="a setting of one service, for example health.probe_interval_s=5; may be given several times",
    )


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found '{text}'")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 16:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 16, found '{text}'")
    return int(text)


def _setting(text: str) -> tuple[str, str, str]:
    name, equals, value = text.partition("=")
    service, dot, setting = name.partition(".")
    if not (equals and dot and service and setting.isidentifier()):
        raise argparse.ArgumentTypeError(f"expected SERVICE.NAME=VALUE, found '{text}'")
    return service, setting, value


def run(words: Sequence[str]) -> int:
    """Carry out one command line; its exit code.

    Raises:
        FairleadError: with one line for the user.
    """
    found = parser().parse_args(words)
    from fairlead.up import up

    return up(_up_options(found), os.environ)


def _up_options(found: argparse.Namespace) -> UpOptions:
    return UpOptions(
        port=found.port,
        data_dir=found.data_dir,
        simulators=not found.no_simulators,
        providers_file=found.providers,
        demo=found.demo,
        edges=found.edges,
        replicas=found.replicas,
        settings=tuple(found.set),
    )


def main(words: Sequence[str]) -> int:
    """``run``, with errors turned into one line on standard error."""
    try:
        return run(words)
    except FairleadError as error:
        sys.stderr.write(f"fairlead: {error}\n")
        return error.exit_code
