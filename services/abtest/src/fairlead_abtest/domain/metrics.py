"""The three metrics a test can be decided by: which way is better, what difference counts, and how it reads."""

from dataclasses import dataclass
from typing import Final

from fairlead_common.operations.abtest import MetricName


@dataclass(frozen=True)
class Metric:
    """``relative``: differences are shares of the first arm's value; else points."""

    name: MetricName
    higher_is_better: bool
    default_effect: float
    relative: bool
    unit: str
    better: str
    """How a winner compares to another arm; ``{size}`` is the difference."""

    def size(self, difference: float) -> str:
        """A difference, without its sign."""
        return f"{abs(difference):.1%}" if self.relative else f"{abs(difference):.3f}"

    def margin(self, effect: float) -> str:
        """The smallest difference worth having."""
        return (
            f"{effect:.3g} {self.unit}"
            if not self.relative
            else f"{effect:.3%} {self.unit}".replace(".000%", "%")
        )


METRICS: Final[dict[MetricName, Metric]] = {
    "quality": Metric("quality", True, 0.05, False, "points of quality", "scores {size} points more than"),
    "latency": Metric("latency", False, 0.1, True, "of latency", "takes {size} less time than"),
    "cost": Metric("cost", False, 0.05, True, "of cost", "costs {size} less than"),
}
