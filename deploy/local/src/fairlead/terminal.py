"""What a person reads while Fairlead starts, runs and stops. A reader that goes away is no reason to stop."""

import os
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path


def command() -> str:
    """How a person calls ``fairlead`` from where he is: its bare name where the shell finds this very program,
    otherwise its path, relative when that is shorter."""
    found = shutil.which("fairlead")
    own = Path(sys.executable).with_name("fairlead")
    if not own.exists() or (found is not None and Path(found).resolve() == own.resolve()):
        return "fairlead"
    return min(str(own), os.path.relpath(own), key=len)


class Terminal:
    """Writes lines to standard output and, with the time of day, to a log file."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since this was made, or since ``begin``."""
        return time.monotonic() - self._began

    def begin(self, text: str) -> None:
        """Say what begins now; ``progress`` counts from here."""
        self._began = time.monotonic()
        self.say(text)

    def say(self, text: str = "", *, logged: bool = True) -> None:
        """One line, or several."""
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except OSError:
            sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives as long as we do
        if self._log is not None and logged and text:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(
                    f"{datetime.now().astimezone().isoformat(timespec='milliseconds')} {text.strip()}\n"
                )

    def progress(self, name: str, detail: str) -> None:
        """A part has come up (or gone down)."""
        self.say(f"  {self.elapsed_s:5.1f} s  {name:<20} {detail}".rstrip())

    def event(self, text: str) -> None:
        """Something happened while it runs."""
        self.say(f"{datetime.now().astimezone().strftime('%H:%M:%S')}  {text}")
