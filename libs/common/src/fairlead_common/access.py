"""API keys: how they are made, hashed, stored and recognised. The edge serves from the ``access`` snapshot alone.

A key is 32 random bytes, so a plain SHA-256 is enough: there is nothing to guess, and looking a hash up in a
dictionary takes no time that depends on the key.
"""

import hashlib
import secrets
from typing import Final, Literal

import asyncpg
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fairlead_common.decisions.budgets import Limits
from fairlead_common.ids import new_id

PREFIX: Final = "fl-"
DEFAULT_WORKSPACE: Final = 1


class KeyEntry(BaseModel):
    """What the edge knows of one key."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key_id: str
    workspace_id: int
    role: str = "admin"
    """admin: everything; caller: the model API only."""
    expires_at: AwareDatetime | None = None


class BudgetSettings(BaseModel):
    """What a workspace may spend, and what happens then. Days and months are those of UTC."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    daily_usd: float | None = Field(default=None, gt=0, description="null: no limit")
    monthly_usd: float | None = Field(default=None, gt=0, description="null: no limit")
    when_spent: Literal["block", "cheapest"] = Field(
        default="block",
        description="calls are refused with status 402 until the next day or month (block), or go on to the cheapest"
        " target that their rule allows (cheapest)",
    )

    @property
    def limits(self) -> Limits:
        """As decisions read it."""
        return Limits(self.daily_usd, self.monthly_usd, self.when_spent == "block")


class WorkspaceSettings(BaseModel):
    """What a workspace has chosen for its calls."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    unsupported_parameters: Literal["error", "warn", "drop"] = Field(
        default="warn",
        description="what becomes of a parameter that a provider cannot honour: another provider is tried and at last"
        " an error comes (error), the header x-fairlead-warnings tells (warn), nothing tells (drop)",
    )
    stream_failure: Literal["error", "continue"] = Field(
        default="error",
        description="what becomes of a stream that breaks after its first token: it ends with an error event (error),"
        " or another target goes on with the text where that can be done without a seam (continue)",
    )
    budget: BudgetSettings | None = Field(
        default=None,
        description="as it runs down faster than its time, the strategy balanced turns to cheaper targets",
    )


class WorkspaceEntry(BaseModel):
    """What the edge knows of one workspace."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    workspace_id: int
    name: str
    settings: WorkspaceSettings = WorkspaceSettings()


class AccessSnapshot(BaseModel):
    """Value of key ``keys`` in the ``access`` bucket: enabled keys by SHA-256 (hex), and the workspaces."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    keys: dict[str, KeyEntry]
    workspaces: dict[int, WorkspaceEntry]


def new_key() -> str:
    """A fresh API key: ``fl-`` and 43 URL-safe characters (256 bits)."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """SHA-256 of the key in hex: what is stored and looked up."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_hint(key: str) -> str:
    """Enough to recognise one's own key in a list: the first 5 and the last 4 characters."""
    return f"{key[:5]}...{key[-4:]}" if len(key) >= 16 else "short"


async def ensure_bootstrap_key(dsn: str, key: str) -> None:
    """Make ``key`` an admin key of workspace 1, unless it is known already."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO api_key (id, workspace_id, name, sha256, hint) VALUES ($1, $2, 'bootstrap', $3, $4)"
            " ON CONFLICT (sha256) DO NOTHING",
            new_id(),
            DEFAULT_WORKSPACE,
            key_hash(key),
            key_hint(key),
        )
    finally:
        await connection.close()
