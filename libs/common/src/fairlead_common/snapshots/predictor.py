"""Value of the ``predictor`` bucket, key = workspace id: the learned table of qualities by kind of prompt, from routing."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from fairlead_common.decisions.clusters import BUCKETS, ClusterTable

MAX_BYTES: Final = 512 * 1024
"""Of a table as JSON: an edge takes 20 ms to read one of this size, and receives each one again twice a minute."""
Share = Annotated[float, Field(ge=0, le=1)]
Pull = tuple[Annotated[int, Field(ge=0, lt=BUCKETS)], Annotated[float, Field(ge=0, le=1e6)]]


class Evaluation(BaseModel):
    """How much better the table picks than the best model per task class, on prompts that it was not learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(max_length=500, description="what it was learned from")
    prompts: int = Field(ge=1)
    seed: int = Field(description="of the split")
    gain: float = Field(ge=-1, le=1, description="mean difference of the quality")
    low: float = Field(ge=-1, le=1, description="lower end of its paired 95 % interval")
    high: float = Field(ge=-1, le=1)

    @property
    def passed(self) -> bool:
        """The interval excludes a loss."""
        return self.low > 0


class Cluster(BaseModel):
    """Prompts that are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: int = Field(ge=0, description="that it was learned from")
    quality: dict[str, Share] = Field(
        min_length=1, max_length=500, description="provider/model to expected quality"
    )
    words: tuple[Pull, ...] = Field(
        max_length=1000, description="bucket of a hashed word, and how much it speaks for this cluster"
    )


class LearnedTable(BaseModel):
    """What `fairlead quality train` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["clusters/1"] = "clusters/1"
    evaluation: Evaluation
    clusters: tuple[Cluster, ...] = Field(min_length=1, max_length=256)

    @property
    def models(self) -> list[str]:
        """Names that it speaks of."""
        return sorted({model for cluster in self.clusters for model in cluster.quality})

    def compiled(self, version: int = 0) -> ClusterTable:
        """As routing decisions read it."""
        return compiled(self.clusters, version)


class PredictorSnapshot(BaseModel):
    """The table in force."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    version: int
    table: LearnedTable


def compiled(clusters: tuple[Cluster, ...], version: int = 0) -> ClusterTable:
    """Clusters by their words."""
    pull: dict[int, list[tuple[int, float]]] = {}
    for number, cluster in enumerate(clusters):
        for bucket, strength in cluster.words:
            pull.setdefault(bucket, []).append((number, strength))
    return ClusterTable(
        {bucket: tuple(pairs) for bucket, pairs in pull.items()},
        tuple(cluster.quality for cluster in clusters),
        tuple(cluster.prompts for cluster in clusters),
        version,
    )
