"""What became of one request, as its caller saw it. Pure: it sends nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DONE = b"data: [DONE]"
ERROR = b'"error"'


class Ending(StrEnum):
    """How a request ended for its caller."""

    ANSWERED = "answered"
    """Completely."""
    TOLD = "told"
    """A stream that had begun ended with an error event."""
    SILENT = "silent truncation"
    """An answer broke off and nothing said so."""
    FAILED = "error"
    """The status says that there is no answer."""
    LOST = "connection lost"
    """The connection to the edge broke before the answer was complete."""
    REFUSED = "no edge"
    """No edge took the connection."""
    LATE = "time-out"
    """Nothing came for too long."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A connection that broke before the request on it was answered. ``at``: Unix seconds."""

    edge: int
    """Position."""
    at: float


@dataclass(slots=True)
class Asked:
    """One request. Times are Unix seconds; ``due`` is when it should have been sent, and latency counts from there."""

    number: int
    edge: int
    """Position of the edge that answered it, or was asked last."""
    stream: bool
    due: float
    refused: int = 0
    """Edges that had refused the connection before."""
    first_token: float | None = None
    ended: float = 0.0
    ending: Ending = Ending.REFUSED
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    """The end of what was not a complete answer."""
    cuts: list[Cut] = field(default_factory=list)
    """After each of them it was sent again."""

    @property
    def may_go_again(self) -> bool:
        """The connection broke, and its caller has seen nothing of an answer: a stream had not begun."""
        return self.ending is Ending.LOST and not (self.stream and self.status)

    def again(self, edge: int) -> None:
        """It is to be sent to ``edge``, as if for the first time."""
        self.cuts.append(Cut(self.edge, self.ended))
        self.edge, self.ending, self.ended = edge, Ending.REFUSED, 0.0
        self.status, self.headers, self.first_token, self.detail = 0, {}, None, ""

    @property
    def call_id(self) -> str | None:
        """The request id the edge gave; None = it never said one."""
        return self.headers.get("x-request-id")

    @property
    def provider(self) -> str | None:
        """Who answered."""
        return self.headers.get("x-fairlead-provider")

    @property
    def total_ms(self) -> float:
        """From when it was due to its end."""
        return (self.ended - self.due) * 1000


def ending_of(stream: bool, status: int, body: bytes) -> Ending:
    """The ending of an exchange that was complete as far as HTTP can tell."""
    if status != 200:
        return Ending.FAILED
    if not stream:
        return Ending.ANSWERED
    tail = body.rstrip()[-len(DONE) :]
    if tail == DONE and ERROR not in body:
        return Ending.ANSWERED
    return Ending.TOLD if ERROR in body else Ending.SILENT
