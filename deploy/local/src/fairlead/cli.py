"""The command line: words to options, options to commands, errors to one line and an exit code."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fairlead_simulator.faults import FIELDS, KINDS

from fairlead.data_dir import DataDir
from fairlead.down import down
from fairlead.errors import BadInput, FairleadError
from fairlead.faults import fault
from fairlead.options import UpOptions
from fairlead.status import status
from fairlead.up import up

DEFAULT_DATA_DIR = Path(".fairlead")
INTERRUPTED = 130
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
    status = _command(commands, "status", "show whether every process is ready")
    status.add_argument("--json", action="store_true", help="for programs")
    _command(commands, "down", "stop a run and wait until it has stopped")
    _add_fault(commands)
    _add_bench(commands)
    _add_quality(commands)
    _add_drill(commands)
    _add_replay(commands)
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
        "--nats-nodes",
        type=int,
        choices=(1, 3),
        default=1,
        help="servers of the bus: 1, or 3 as a cluster (default: 1)",
    )
    up.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="SERVICE.NAME=VALUE",
        help="a setting of one service, for example health.probe_interval_s=5; may be given several times",
    )


def _add_fault(commands: "argparse._SubParsersAction[_Parser]") -> None:
    fault = _command(commands, "fault", "make a simulated provider fail, while everything runs")
    fault.usage = (
        "fairlead fault PROVIDER KIND [--for SECONDS] [--with NAME=VALUE]...\n"
        "       fairlead fault clear [PROVIDER]\n"
        "       fairlead fault list"
    )
    fault.formatter_class = argparse.RawDescriptionHelpFormatter
    fault.epilog = "kinds:\n" + "\n".join(f"  {kind:<20}{text}" for kind, text in KINDS.items())
    fault.add_argument("words", nargs="+", metavar="PROVIDER KIND", help="or: clear [PROVIDER], or: list")
    fault.add_argument(
        "--for", dest="for_s", type=_seconds, metavar="SECONDS", help="until it ends by itself"
    )
    fault.add_argument(
        "--with",
        dest="options",
        type=_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"how it fails: {', '.join(name for name in FIELDS if name != 'for_s')}",
    )


def _add_bench(commands: "argparse._SubParsersAction[_Parser]") -> None:
    bench = commands.add_parser("bench", help="measure Fairlead's decisions", allow_abbrev=False)
    kinds = bench.add_subparsers(dest="kind", metavar="KIND", required=True, parser_class=_Parser)
    routing = kinds.add_parser(
        "routing", help="automatic selection beside simpler pickers", allow_abbrev=False
    )
    routing.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="files of outcomes or latencies")
    routing.add_argument("--data", type=Path, metavar="DIR", help="folder with such files")
    routing.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of splits and resampling (default: 0)"
    )
    routing.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    decision = kinds.add_parser("decision", help="what one routing decision costs", allow_abbrev=False)
    decision.add_argument(
        "--decisions", type=_decisions, default=20_000, metavar="N", help="for each strategy (default: 20000)"
    )
    decision.add_argument(
        "--growth",
        type=_decisions,
        default=1_000_000,
        metavar="N",
        help="for the growth of memory (default: 1000000)",
    )
    decision.add_argument("--seed", type=int, default=0, metavar="N", help="of the scenario (default: 0)")
    decision.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")


def _add_quality(commands: "argparse._SubParsersAction[_Parser]") -> None:
    quality = commands.add_parser("quality", help="learn which model is good at what", allow_abbrev=False)
    verbs = quality.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    train = verbs.add_parser(
        "train", help="write a quality table if it is shown to be better", allow_abbrev=False
    )
    train.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the table")
    evaluate = verbs.add_parser("evaluate", help="only judge such a table", allow_abbrev=False)
    for verb in (train, evaluate):
        source = verb.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "file", nargs="?", type=Path, metavar="FILE", help="outcomes, as for bench routing"
        )
        source.add_argument(
            "--from-workspace",
            metavar="URL",
            help="of an edge: learn from the A/B tests of the key's workspace",
        )
        verb.add_argument("--key-file", type=Path, metavar="FILE", help="with an admin key of that workspace")
        verb.add_argument("--seed", type=int, default=0, metavar="N", help="of the split (default: 0)")
    install = verbs.add_parser("install", help="decide by a table from now on", allow_abbrev=False)
    install.add_argument("table", type=Path, metavar="TABLE", help="written by quality train")
    install.add_argument("--url", required=True, help="of an edge")
    install.add_argument(
        "--key-file", type=Path, required=True, metavar="FILE", help="with an admin key of the workspace"
    )
    install.add_argument(
        "--model",
        type=_option,
        action="append",
        default=[],
        metavar="NAME=PROVIDER/MODEL",
        help="what the catalog calls a model of the table; may be given several times",
    )


def _add_drill(commands: "argparse._SubParsersAction[_Parser]") -> None:
    drill = commands.add_parser(
        "drill", help="hurt a stack of its own under load, and judge what callers saw", allow_abbrev=False
    )
    verbs = drill.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    verbs.add_parser("list", help="what can be drilled", allow_abbrev=False)
    run = verbs.add_parser("run", help="run some drills, or all", allow_abbrev=False)
    run.add_argument("names", nargs="+", metavar="NAME", help="of a drill, or of a file with one, or: all")
    run.add_argument(
        "--rate", type=_rate, default=100.0, metavar="N", help="requests/s, or: max (default: 100)"
    )
    run.add_argument(
        "--duration", type=_seconds, metavar="SECONDS", help="of the load (default: the drill's)"
    )
    run.add_argument("--edges", type=_count, metavar="N", help="edge processes (default: the drill's)")
    run.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    run.add_argument("--html", type=Path, metavar="FILE", help="write the report with charts there")
    run.add_argument("--markdown", type=Path, metavar="FILE", help="write a page of documentation there")
    run.add_argument("--keep", type=Path, metavar="DIR", help="run the stacks in there, and keep their logs")


def _add_replay(commands: "argparse._SubParsersAction[_Parser]") -> None:
    replay = commands.add_parser(
        "replay", help="run what was recorded through the code that decides live", allow_abbrev=False
    )
    kinds = replay.add_subparsers(dest="kind", metavar="KIND", required=True, parser_class=_Parser)
    outages = kinds.add_parser(
        "outages", help="availability with and without failover over known outages", allow_abbrev=False
    )
    outages.add_argument("file", type=Path, metavar="FILE", help="CSV with the columns start, end, provider")
    outages.add_argument(
        "--providers",
        type=_names,
        default=(),
        metavar="A,B,...",
        help="in order of preference (default: as the file names them)",
    )
    outages.add_argument(
        "--period",
        metavar="START/END",
        help="what is looked at (default: from the first start to the last end)",
    )
    outages.add_argument(
        "--detection",
        type=_seconds,
        default=1.0,
        metavar="SECONDS",
        help="until it is noticed that a provider is down (default: %(default)s)",
    )
    outages.add_argument(
        "--notice",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="until it is noticed that it is well again (default: %(default)s)",
    )
    outages.add_argument("--json", action="store_true", help="for programs")


def _names(text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"expected names with commas between them, found '{text}'")
    return found


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds greater than 0, found '{text}'")
    return found


def _rate(text: str) -> float | None:
    """None = the highest."""
    if text == "max":
        return None
    try:
        return _seconds(text)
    except argparse.ArgumentTypeError as error:
        reason = f"expected requests per second greater than 0, or max, found '{text}'"
        raise argparse.ArgumentTypeError(reason) from error


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found '{text}'")
    return name, value


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found '{text}'")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 16:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 16, found '{text}'")
    return int(text)


def _decisions(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100_000_000:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to 100000000, found '{text}'")
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
    if found.command == "bench":
        return _bench(found)
    if found.command == "quality":
        return _quality(found)
    if found.command == "drill":
        return _drill(found)
    if found.command == "replay":
        return _replay(found)
    folder = DataDir.of(found.data_dir)
    if found.command == "up":
        return up(up_options(found), os.environ)
    if found.command == "status":
        return status(folder, as_json=found.json)
    if found.command == "down":
        return down(folder)
    return fault(folder, found.words, found.for_s, dict(found.options))


def _bench(found: argparse.Namespace) -> int:
    if found.kind == "decision":
        from fairlead.bench.decision import bench_decision

        return bench_decision(found.decisions, found.growth, found.seed, found.json)
    from fairlead.bench.routing import bench_routing  # the numerical libraries only where they are needed

    paths = [*found.paths, *([found.data] if found.data else [])]
    if not paths:
        raise BadInput("nothing to measure on: name files, or a folder with --data DIR")
    return bench_routing(paths, found.seed, found.json)


def _quality(found: argparse.Namespace) -> int:
    from fairlead.bench.quality import from_file, from_workspace, install, quality

    if found.verb == "install":
        return install(found.table, found.url, found.key_file, dict(found.model))
    if found.from_workspace is not None and found.key_file is None:
        raise BadInput("--from-workspace needs --key-file FILE, with an admin key of the workspace")
    source = found.from_workspace
    data = from_file(found.file) if source is None else from_workspace(source, found.key_file)
    return quality(data, found.seed, found.out if found.verb == "train" else None)


def _drill(found: argparse.Namespace) -> int:
    from fairlead.drills.command import DrillOptions, list_drills, run_drills

    if found.verb == "list":
        return list_drills()
    return run_drills(
        DrillOptions(
            names=tuple(found.names),
            rate=found.rate,
            duration_s=found.duration,
            edges=found.edges,
            json_file=found.json,
            html_file=found.html,
            markdown_file=found.markdown,
            folder=found.keep,
        )
    )


def _replay(found: argparse.Namespace) -> int:
    from fairlead_common.decisions.outages import ReplaySettings

    from fairlead.replay.files import Mistake
    from fairlead.replay.outages import ReplayOptions, period_of, replay_outages

    try:
        period = period_of(found.period) if found.period else None
    except Mistake as error:
        raise BadInput(f"argument --period: {error}") from error
    settings = ReplaySettings(detection_s=found.detection, notice_s=found.notice)
    return replay_outages(ReplayOptions(found.file, found.providers, period, settings, found.json))


def up_options(found: argparse.Namespace) -> UpOptions:
    """The options of ``up`` of a parsed command line."""
    return UpOptions(
        port=found.port,
        data_dir=found.data_dir,
        simulators=not found.no_simulators,
        providers_file=found.providers,
        demo=found.demo,
        edges=found.edges,
        replicas=found.replicas,
        nats_nodes=found.nats_nodes,
        settings=tuple(found.set),
    )


def main(words: Sequence[str]) -> int:
    """``run``, with errors turned into one line on standard error."""
    try:
        return run(words)
    except FairleadError as error:
        sys.stderr.write(f"fairlead: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
