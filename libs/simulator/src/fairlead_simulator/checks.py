"""Checks of request parameters against a table of rules. What is wrong is a ``Flaw``, which each vendor words."""

from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Rule:
    """What a parameter must be. ``low`` and ``high`` are inclusive; of lists they limit the length."""

    kind: str
    """number, integer, text, flag, list, table, or any."""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


NUMBER, INTEGER, TEXT, FLAG = Rule("number"), Rule("integer"), Rule("text"), Rule("flag")
LIST, TABLE, ANY = Rule("list"), Rule("table"), Rule("any")


def number(low: float | None = None, high: float | None = None) -> Rule:
    """A number between the limits."""
    return Rule("number", low, high)


def integer(low: float | None = None, high: float | None = None) -> Rule:
    """A whole number between the limits."""
    return Rule("integer", low, high)


def one_of(*choices: str) -> Rule:
    """One of these texts."""
    return Rule("text", choices=choices)


def several(high: int | None = None, low: int | None = None) -> Rule:
    """A list with so many elements."""
    return Rule("list", low, high)


class Flaw(Exception):
    """One thing that is wrong with a request.

    ``kind``: missing, unknown, type (``limit`` is the rule), low, high, choice (``limit`` are the choices), short or
    long (a list; ``limit`` is the length), or other (``limit`` is a sentence).
    """

    def __init__(self, kind: str, path: Path, found: Any = None, limit: Any = None) -> None:
        super().__init__(f"{kind} at {'.'.join(map(str, path))}")
        self.kind = kind
        self.path = path
        self.found = found
        self.limit = limit

    def place(self, *, brackets: bool = False) -> str:
        """``messages.0.role``, or ``messages[0].role``."""
        if not brackets:
            return ".".join(str(step) for step in self.path)
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).removeprefix(".")


TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "text": (str,),
    "flag": (bool,),
    "list": (list,),
    "table": (dict,),
}


def check(found: dict[str, Any], rules: dict[str, Rule], path: Path = (), *, open_: bool = False) -> None:
    """Check a table of parameters; null counts as absent. ``open_`` = unknown names are let through.

    Raises:
        Flaw: the first thing that is wrong.
    """
    for name, value in found.items():
        rule = rules.get(name)
        if rule is not None:
            if value is not None:
                check_value(value, rule, (*path, name))
        elif not open_:
            raise Flaw("unknown", (*path, name), value)


def check_value(value: Any, rule: Rule, path: Path) -> None:
    """Check one value. Raises Flaw."""
    if rule.kind == "any":
        return
    whole = rule.kind == "integer" and isinstance(value, float) and value.is_integer()
    wrong = not isinstance(value, TYPES[rule.kind]) and not whole
    if wrong or (isinstance(value, bool) and rule.kind != "flag"):
        raise Flaw("type", path, value, rule)
    if rule.choices and value not in rule.choices:
        raise Flaw("choice", path, value, rule.choices)
    measure = len(value) if rule.kind == "list" else value
    if rule.low is not None and measure < rule.low:
        raise Flaw("short" if rule.kind == "list" else "low", path, value, rule.low)
    if rule.high is not None and measure > rule.high:
        raise Flaw("long" if rule.kind == "list" else "high", path, value, rule.high)


def need(found: dict[str, Any], *names: str, path: Path = ()) -> None:
    """Raise Flaw when a parameter is absent or null."""
    for name in names:
        if found.get(name) is None:
            raise Flaw("missing", (*path, name))


def table(value: Any, path: Path) -> dict[str, Any]:
    """``value`` as an object. Raises Flaw."""
    check_value(value, TABLE, path)
    found: dict[str, Any] = value
    return found


def tables(value: Any, path: Path) -> list[dict[str, Any]]:
    """``value`` as a list of objects. Raises Flaw."""
    check_value(value, LIST, path)
    return [table(each, (*path, position)) for position, each in enumerate(value)]
