"""What a caller wants to pay at most for one request, over all its attempts, and whether a target can be had for that."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CostLimit:
    """The limit, and the most that the request can use: what the caller has not limited is an estimate."""

    usd: float
    input_tokens: int
    output_tokens: int

    def most_usd(self, input_price: float | None, output_price: float | None) -> float | None:
        """What an attempt costs at most, at these prices in USD per token; None = unknown."""
        if input_price is None or (self.output_tokens and output_price is None):
            return None
        return input_price * self.input_tokens + (output_price or 0.0) * self.output_tokens

    def why_not(
        self, input_price: float | None, output_price: float | None, spent_usd: float = 0.0
    ) -> str | None:
        """Why an attempt at these prices is beyond the limit, or None when it is within.

        Args:
            spent_usd: what attempts before it cost, or may have cost.
        """
        cost = self.most_usd(input_price, output_price)
        if cost is None:
            return f"its price is unknown, and the caller's limit is {self.usd:g} USD"
        if cost + spent_usd <= self.usd:
            return None
        before = f", after {spent_usd:.6f} before it," if spent_usd else ""
        return f"its cost of up to {cost:.6f} USD{before} exceeds the caller's limit of {self.usd:g}"
