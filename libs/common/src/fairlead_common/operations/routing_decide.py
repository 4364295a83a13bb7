"""Where a request would go, asked over the bus: for programs that call providers themselves, and for people."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from fairlead_common.bus.rpc import Operation
from fairlead_common.decisions.clusters import Prediction
from fairlead_common.decisions.languages import language_of
from fairlead_common.decisions.plan import RouteRequest
from fairlead_common.decisions.tasks import task_of
from fairlead_common.operations.routing import SERVICE


class Features(BaseModel):
    """What routing looks at in a request."""

    model_config = ConfigDict(extra="forbid")

    model: str
    needs: list[str] = []
    input_tokens: int = Field(default=100, ge=0)
    max_output_tokens: int | None = Field(default=None, ge=1)
    stream: bool = False
    metadata: dict[str, str] = {}
    response_format: Literal["text", "json_object", "json_schema"] = "text"
    user: str = ""
    conversation: str = Field(
        default="", description="the asker's own name of the conversation, for rules that stick to it"
    )
    prompt: str = Field(
        default="", description="the user's latest turn: task class, language and cluster come from it"
    )

    def request(self, workspace_id: int, prediction: Prediction | None, turn: int = 0) -> RouteRequest:
        """As decisions take it."""
        return RouteRequest(
            self.model,
            workspace_id,
            frozenset(self.needs),
            self.input_tokens,
            self.max_output_tokens,
            self.stream,
            self.metadata,
            response_format=self.response_format,
            task=task_of(self.prompt) if self.prompt else "unknown",
            language=language_of(self.prompt) if self.prompt else "und",
            user=self.user,
            conversation=self.conversation,
            turn=turn,
            prediction=prediction,
        )


class DecideQuery(BaseModel):
    """A request of a workspace."""

    workspace_id: int
    request: Features


Unconsidered = Literal["load", "rate_limits", "edge_breakers", "prompt_caches", "unrecorded_spend", "budget"]
OF_EDGES: Final[tuple[Unconsidered, ...]] = (
    "load",
    "rate_limits",
    "edge_breakers",
    "prompt_caches",
    "unrecorded_spend",
)
"""What only an edge knows."""


class Decided(BaseModel):
    """Whom to ask. It is not kept: what becomes of it is the asker's."""

    decision_id: str = Field(description="UUID v7, for the asker's own log")
    target: str = Field(description="provider/model")
    alternatives: list[str] = Field(description="to be tried next, in this order")
    rule: str | None = Field(description="null: the default one")
    strategy: str
    table_version: int
    draw: float = Field(description="the chance in it: the same one gives the same decision again")
    probability: float | None = Field(
        description="of the target, over all draws; null: not computed for the strategy"
    )
    not_considered: list[Unconsidered] = Field(
        default=[],
        description="what an edge would look at as well, so that its choice may be another: the calls it has under way"
        " (load), what providers told it of their rate limits, its own breakers, what it knows to be in prompt caches, what"
        " calls cost that are not recorded yet (unrecorded_spend); budget: not known here yet",
    )


DECIDE = Operation(SERVICE, "decide", DecideQuery, Decided)
