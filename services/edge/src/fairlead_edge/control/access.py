"""``/api/workspaces`` and ``/api/keys``: who may call, and on whose behalf."""

from typing import Literal

from fastapi import APIRouter, HTTPException
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError

from fairlead_edge.control.dependencies import Changed, Store

router = APIRouter(prefix="/api", tags=["access"])


class WorkspaceIn(BaseModel):
    """A new workspace."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")


class WorkspaceOut(BaseModel):
    """A workspace."""

    id: int
    name: str
    created_at: AwareDatetime


class KeyIn(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    workspace_id: int = 1
    role: Literal["admin", "caller"] = "caller"
    expires_at: AwareDatetime | None = None


class KeyOut(BaseModel):
    """A key, without the key."""

    id: str
    workspace_id: int
    name: str
    role: str
    hint: str
    enabled: bool
    expires_at: AwareDatetime | None
    created_at: AwareDatetime


class NewKey(KeyOut):
    """The only time the key itself is shown."""

    key: str


@router.get("/workspaces", summary="List workspaces")
async def list_workspaces(store: Store) -> list[WorkspaceOut]:
    """All workspaces."""
    return [WorkspaceOut.model_validate(dict(row)) for row in await store.workspaces()]


@router.post("/workspaces", status_code=201, summary="Create a workspace")
async def create_workspace(store: Store, changed: Changed, body: WorkspaceIn) -> WorkspaceOut:
    """Its keys see nothing of other workspaces."""
    row = await store.add_workspace(body.name)
    if row is None:
        raise HTTPException(409, f"there is a workspace '{body.name}' already")
    changed()
    return WorkspaceOut.model_validate(dict(row))


@router.get("/keys", summary="List API keys")
async def list_keys(store: Store) -> list[KeyOut]:
    """All keys, also revoked ones."""
    return [KeyOut.model_validate(dict(row)) for row in await store.keys()]


@router.post("/keys", status_code=201, summary="Create an API key")
async def create_key(store: Store, changed: Changed, body: KeyIn) -> NewKey:
    """Only the key's hash is kept: what is shown now is never shown again."""
    try:
        key, row = await store.add_key(body.workspace_id, body.name, body.role, body.expires_at)
    except IntegrityError as error:
        raise HTTPException(
            422, f"there is no workspace {body.workspace_id}; GET /api/workspaces lists them"
        ) from error
    changed()
    return NewKey(**dict(row), key=key)


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(store: Store, changed: Changed, key_id: str) -> None:
    """It stops working on every edge within about a second."""
    if not await store.revoke_key(key_id):
        raise HTTPException(404, f"there is no key '{key_id}'; GET /api/keys lists them")
    changed()
