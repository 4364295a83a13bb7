"""What a vendor says of itself: a status page in Statuspage's ``summary.json`` format, read into what matters here."""

from collections.abc import Mapping
from dataclasses import dataclass

INDICATORS = ("none", "minor", "major", "critical", "maintenance")
BROKEN = frozenset(("major", "critical"))
LONGEST = 300


class UnreadablePage(ValueError):
    """Not a status page; says what was expected."""


@dataclass(frozen=True, slots=True)
class Page:
    """A status page. ``read_at``: Unix seconds."""

    indicator: str
    """none, minor, major, critical or maintenance."""
    description: str
    """In the vendor's words, with the names of open incidents."""
    read_at: float

    @property
    def is_broken(self) -> bool:
        """Whether the vendor says that more than a little is broken."""
        return self.indicator in BROKEN


def page_of(document: object, read_at: float) -> Page:
    """The page in a decoded ``summary.json`` (``status.json`` will do: it has no incidents).

    Raises:
        UnreadablePage: it is something else.
    """
    status = document.get("status") if isinstance(document, Mapping) else None
    indicator = status.get("indicator") if isinstance(status, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(status, Mapping) or indicator not in INDICATORS:
        raise UnreadablePage(
            f"expected Statuspage's summary.json with status.indicator one of {', '.join(INDICATORS)}"
        )
    incidents = document.get("incidents")
    names = [
        str(each["name"])
        for each in (incidents if isinstance(incidents, list) else [])
        if isinstance(each, Mapping) and "name" in each
    ]
    text = ": ".join(filter(None, (str(status.get("description") or ""), "; ".join(names))))
    return Page(indicator, text[:LONGEST] or indicator, read_at)
