"""What is built in comes from two installed files, the catalog and the price package: read anew when they change."""

import importlib
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

from genai_prices import data, data_snapshot

from fairlead_models import prices
from fairlead_models.catalog import file, profiles

PRICE_PACKAGE: Final = "genai-prices"


class Stamp(NamedTuple):
    """Tells one state of a file from another."""

    size: int
    modified_ns: int


class Installed(NamedTuple):
    """The sources as they lie on disk."""

    price_package: str
    """Its version."""
    price_data: Stamp
    catalog: Stamp


def installed() -> Installed:
    """The sources now. Raises OSError when a file is not there."""
    return Installed(version(PRICE_PACKAGE), _stamp(Path(data.__file__)), _stamp(file.BUILT_IN))


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return Stamp(found.st_size, found.st_mtime_ns)


class Sources:
    """One per process, made before anything is read."""

    def __init__(self) -> None:
        self.read = installed()
        """As they were when they were read last."""

    def read_anew(self) -> bool:
        """Read what has changed on disk; True when something had. Takes a few 100 ms then, else less than one.

        Raises:
            CatalogFileError: the catalog file is wrong; what was read before stays in use.
            OSError: a file is not there.
        """
        now = installed()
        if now == self.read:
            return False
        file.load(file.BUILT_IN.read_text(encoding="utf-8"), file.BUILT_IN.name)
        if now[:2] != self.read[:2]:
            fresh = importlib.reload(data).providers
            data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot(fresh, from_auto_update=False))
            prices.forget()
        file.built_in_file.cache_clear()
        profiles.forget()
        self.read = now
        return True
