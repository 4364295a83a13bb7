"""A request in a provider's own form, and what of it could not be honoured."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairlead_models.wires.protocol import Wire


@dataclass(slots=True)
class Unhonoured:
    """A parameter that a target cannot honour, and why; goes out in the ``x-fairlead-warnings`` header."""

    param: str
    reason: str
    note: bool = False
    """Said for completeness, and never a reason to refuse: nothing that was asked for is missing."""

    def __str__(self) -> str:
        return f"{self.param}: {self.reason}"


@dataclass(slots=True)
class EncodedRequest:
    """A request as it goes to a provider, without authentication and base URL, which belong to the provider's row."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    warnings: tuple[Unhonoured, ...] = ()
    wire: "Wire | None" = None
    """Who reads the answer, when that is another wire than the one that encoded (OpenAI has two APIs)."""
