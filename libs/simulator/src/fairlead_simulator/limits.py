"""The rate limits a vendor reports in its headers, counted per minute. Nothing is refused because of them."""

from dataclasses import dataclass

REQUESTS = 10_000
TOKENS = 10_000_000
WINDOW_S = 60.0


@dataclass(frozen=True)
class Left:
    """What is left of the limits, and in how many seconds they are whole again."""

    requests: int
    tokens: int
    input_tokens: int
    output_tokens: int
    reset_s: float


@dataclass
class Window:
    """The use of the running minute. Times in seconds on the event loop's clock."""

    started: float = 0.0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def use(self, now: float, input_tokens: int = 0, output_tokens: int = 0, *, requests: int = 1) -> None:
        """Count a request and its tokens."""
        if now - self.started >= WINDOW_S:
            self.started, self.requests, self.input_tokens, self.output_tokens = now, 0, 0, 0
        self.requests += requests
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens

    def left(self, now: float) -> Left:
        """What the headers say."""
        used = self.input_tokens + self.output_tokens
        return Left(
            requests=max(0, REQUESTS - self.requests),
            tokens=max(0, TOKENS - used),
            input_tokens=max(0, TOKENS - self.input_tokens),
            output_tokens=max(0, TOKENS - self.output_tokens),
            reset_s=max(0.0, WINDOW_S - (now - self.started)),
        )


def exhausted(reset_s: float) -> Left:
    """Nothing left: what the headers say beside a 429."""
    return Left(0, 0, 0, 0, reset_s)
