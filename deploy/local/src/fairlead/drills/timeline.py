"""One drill as a chart over time, in SVG: who answered, what went wrong, what was done, what the fleet did. Pure."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead.drills.measures import quantile
from fairlead.drills.moves import moves
from fairlead.drills.outages import Seen
from fairlead.drills.requests import Asked, Ending

WIDTH, LEFT, RIGHT = 920, 56, 16
BARS_TOP, BARS_HEIGHT = 54, 130
LINE_TOP, LINE_HEIGHT = 214, 66
HEIGHT = 318
BUCKET_S = 0.5
COLOURS = {
    "openai": "#2f6f9f",
    "anthropic": "#b5703c",
    "google": "#5b8a3a",
    "mistral": "#8a62a8",
    "cohere": "#4f9a94",
}
OTHER, TOLD, BAD = "#8a8a8a", "#e0a800", "#c62828"


@dataclass(frozen=True)
class Scale:
    """Seconds to pixels."""

    seconds: float

    def x(self, at_s: float) -> float:
        """Where a moment lies, kept inside the chart."""
        share = min(max(at_s / self.seconds, 0.0), 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def timeline(seen: Seen) -> str:
    """The chart as an ``svg`` element with a title and a description in words."""
    end = max((each.ended for each in seen.asked), default=seen.began) - seen.began
    scale = Scale(max(end, seen.scenario.seconds, 1.0))
    buckets = _buckets(seen, scale)
    parts = [*_axes(scale), *_bars(buckets, scale), *_latency(buckets, scale), *_marks(seen, scale)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{html.escape(seen.scenario.title)}</title><desc>{html.escape(in_words(seen))}</desc>"
        f"{''.join(parts)}</svg>"
    )


def in_words(seen: Seen) -> str:
    """What the chart shows, for those who do not see it."""
    served = Counter(each.provider for each in seen.asked if each.ending is Ending.ANSWERED)
    by = ", ".join(f"{name} answered {count}" for name, count in served.most_common() if name)
    told = "; ".join(f"at {at_s:.2f} s {text}" for at_s, text in happenings(seen))
    return f"{len(seen.asked)} requests: {by}. {told}."


def happenings(seen: Seen) -> list[tuple[float, str]]:
    """What was done and what the fleet did, in seconds from the beginning of the load."""
    found = [(each.at - seen.began, str(each.step)) for each in seen.done]
    moved = moves(seen.heard)
    found += [(at - seen.began, f"moved away from {provider}") for provider, at in moved.switched]
    found += [(at - seen.began, f"all back to {provider}") for provider, at in moved.recovered]
    return sorted(found)


def _buckets(seen: Seen, scale: Scale) -> list[list[Asked]]:
    """Requests by when they were due."""
    found: list[list[Asked]] = [[] for _ in range(int(scale.seconds / BUCKET_S) + 1)]
    for each in seen.asked:
        found[int((each.due - seen.began) / BUCKET_S)].append(each)
    return found


def _axes(scale: Scale) -> Iterable[str]:
    bottom = BARS_TOP + BARS_HEIGHT
    yield f'<text x="{LEFT}" y="{BARS_TOP - 6}" class="small">requests per {BUCKET_S:g} s, by who answered</text>'
    yield f'<text x="{LEFT}" y="{LINE_TOP - 6}" class="small">slowest answer, ms (by when it was due)</text>'
    for y in (bottom, LINE_TOP + LINE_HEIGHT):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" class="axis"/>'
    step = 1 if scale.seconds <= 24 else 5
    for second in range(0, int(scale.seconds) + 1, step):
        yield f'<text x="{scale.x(second):.1f}" y="{bottom + 14}" class="tick">{second}</text>'
    yield f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 22}" class="end">seconds</text>'


def _bars(buckets: Sequence[Sequence[Asked]], scale: Scale) -> Iterable[str]:
    most = max((len(each) for each in buckets), default=1) or 1
    yield f'<text x="{LEFT - 6}" y="{BARS_TOP + 8}" class="end">{most}</text>'
    width = max(scale.x(BUCKET_S) - scale.x(0) - 0.6, 0.8)
    for position, requests in enumerate(buckets):
        y = float(BARS_TOP + BARS_HEIGHT)
        for name, count in sorted(Counter(map(_kind, requests)).items(), key=lambda each: _rank(each[0])):
            height = BARS_HEIGHT * count / most
            y -= height
            yield (
                f'<rect x="{scale.x(position * BUCKET_S):.1f}" y="{y:.1f}" width="{width:.1f}"'
                f' height="{height:.1f}" fill="{_colour(name)}"/>'
            )


def _kind(asked: Asked) -> str:
    if asked.ending is Ending.ANSWERED:
        return asked.provider or "?"
    return "told" if asked.ending is Ending.TOLD else "error"


def _rank(kind: str) -> tuple[int, str]:
    """Errors on top, where they are seen."""
    return (("told", "error").index(kind) + 1 if kind in ("told", "error") else 0, kind)


def _colour(kind: str) -> str:
    return {**COLOURS, "told": TOLD, "error": BAD}.get(kind, OTHER)


def _latency(buckets: Sequence[Sequence[Asked]], scale: Scale) -> Iterable[str]:
    values = [quantile([each.total_ms for each in found], 1.0) or 0.0 for found in buckets]
    most = max(values, default=1.0) or 1.0
    points = " ".join(
        f"{scale.x((position + 0.5) * BUCKET_S):.1f},{LINE_TOP + LINE_HEIGHT * (1 - value / most):.1f}"
        for position, value in enumerate(values)
        if buckets[position]
    )
    yield f'<polyline points="{points}" class="latency"/>'
    yield f'<text x="{LEFT - 6}" y="{LINE_TOP + 8}" class="end">{most:.0f}</text>'


def _marks(seen: Seen, scale: Scale) -> Iterable[str]:
    """Numbered lines; the list under the chart says what each of them is."""
    for number, (at_s, text) in enumerate(happenings(seen), 1):
        x, level = scale.x(at_s), 12 + 14 * ((number - 1) % 3)
        fleet = ' class="fleet"' if text.startswith(("moved", "all back")) else ' class="done"'
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{level}" y2="{LINE_TOP + LINE_HEIGHT}"{fleet}/>'
        yield f'<text x="{x + 3:.1f}" y="{level + 4}" class="small">{number}</text>'
