"""Settings of the edge, read once at start."""

from fairlead_common.settings import Settings
from pydantic import Field


class EdgeSettings(Settings):
    """Environment variables ``FAIRLEAD_*`` of this process, beside the common ones."""

    http_port: int = Field(default=8080, ge=0, le=65535)
    """Of the model API, the control API, /livez, /readyz and /metrics. 0 = any free port."""
    max_body_mb: float = Field(default=20, gt=0)
    """Larger requests are refused with 413."""
    request_timeout_s: float = Field(default=600, gt=0)
    """One deadline for a request, all attempts together."""
    whole_answer_timeout_s: float = Field(default=120, gt=0)
    """How long one attempt may take until the head of an answer that is not streamed."""
    hedge_share: float = Field(default=0, ge=0, le=0.05)
    """Share of the streams whose late first token may be looked for at a second target; 0 = none."""
    hedge_after_ms: float = Field(default=1000, gt=0)
    """When a first token is late, for targets whose own p95 is not known."""
    drain_s: float = Field(default=25, ge=0)
    """At SIGTERM: how long running requests may take to finish."""
    reuse_port: bool = False
    """Share the port with other edge processes on the same machine."""
