"""``/api/workspaces`` and ``/api/keys``: who may call, and on whose behalf.

An admin manages the keys of his workspace. An admin of workspace 1, the operator's, manages all of them.
"""

from typing import Annotated, Literal

from fairlead_common.access import DEFAULT_WORKSPACE, BudgetSettings, WorkspaceSettings
from fastapi import APIRouter, HTTPException, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.exc import IntegrityError

from fairlead_edge.control.dependencies import (
    OPERATOR,
    Changed,
    KeyId,
    Scope,
    Store,
    WorkspaceId,
    no_workspace,
)

router = APIRouter(prefix="/api", tags=["access"])

MAX_ID = 2**31 - 1
WorkspacePath = Annotated[int, Path(ge=1, le=MAX_ID)]


class WorkspaceIn(BaseModel):
    """A workspace as it is created or renamed."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$",
        description="lower-case letters, digits, '_' and '-', beginning with a letter or digit, at most 50",
    )


class WorkspaceOut(BaseModel):
    """A workspace."""

    id: int
    name: str
    created_at: AwareDatetime


class BudgetIn(BudgetSettings):
    """A budget as it is changed: at least one limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _limits_something(self) -> "BudgetIn":
        if self.daily_usd is None and self.monthly_usd is None:
            raise ValueError("give daily_usd, monthly_usd or both; without a budget, leave it out")
        return self


class SettingsIn(WorkspaceSettings):
    """Settings as they are changed: a field that is none is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    budget: BudgetIn | None = Field(default=None, description="null: no budget")


class KeyIn(BaseModel):
    """A new key."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    workspace_id: int | None = Field(
        default=None, ge=1, le=MAX_ID, description="null: that of the calling key"
    )
    role: Literal["admin", "caller"] = "caller"
    expires_at: AwareDatetime | None = None


class KeyChange(BaseModel):
    """What is to change of a key; fields left out stay as they are."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=100)
    role: Literal["admin", "caller"] | None = None
    expires_at: AwareDatetime | None = Field(default=None, description="null: never")


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
async def list_workspaces(store: Store, scope: Scope) -> list[WorkspaceOut]:
    """All workspaces that the key may see."""
    return [WorkspaceOut.model_validate(dict(row)) for row in await store.workspaces(scope)]


@router.post("/workspaces", status_code=201, summary="Create a workspace", dependencies=[OPERATOR])
async def create_workspace(store: Store, changed: Changed, body: WorkspaceIn) -> WorkspaceOut:
    """Its keys see nothing of other workspaces."""
    row = await store.add_workspace(body.name)
    if row is None:
        raise _taken(body.name)
    changed()
    return WorkspaceOut.model_validate(dict(row))


@router.get("/workspaces/{workspace_id}", summary="One workspace")
async def get_workspace(store: Store, scope: Scope, workspace_id: WorkspacePath) -> WorkspaceOut:
    """Its name."""
    found = [row for row in await store.workspaces(scope) if row["id"] == workspace_id]
    if not found:
        raise no_workspace(workspace_id)
    return WorkspaceOut.model_validate(dict(found[0]))


@router.put("/workspaces/{workspace_id}", summary="Rename a workspace", dependencies=[OPERATOR])
async def rename_workspace(
    store: Store, changed: Changed, workspace_id: WorkspacePath, body: WorkspaceIn
) -> WorkspaceOut:
    """Its keys, rules and figures stay with it."""
    try:
        row = await store.rename_workspace(workspace_id, body.name)
    except IntegrityError as error:
        raise _taken(body.name) from error
    if row is None:
        raise no_workspace(workspace_id)
    changed()
    return WorkspaceOut.model_validate(dict(row))


@router.get("/workspaces/{workspace_id}/settings", summary="Settings of a workspace")
async def get_settings(store: Store, scope: Scope, workspace_id: WorkspacePath) -> WorkspaceSettings:
    """What it has chosen for its calls; what it has not chosen has its default."""
    found = await store.settings(workspace_id) if scope in (None, workspace_id) else None
    if found is None:
        raise no_workspace(workspace_id)
    return found


@router.put("/workspaces/{workspace_id}/settings", summary="Change the settings of a workspace")
async def put_settings(
    store: Store, changed: Changed, scope: Scope, workspace_id: WorkspacePath, body: SettingsIn
) -> WorkspaceSettings:
    """All of them; edges follow within about a second."""
    if scope not in (None, workspace_id) or not await store.set_settings(workspace_id, body):
        raise no_workspace(workspace_id)
    changed()
    return body


@router.delete(
    "/workspaces/{workspace_id}", status_code=204, summary="Delete a workspace", dependencies=[OPERATOR]
)
async def delete_workspace(store: Store, changed: Changed, workspace_id: WorkspacePath) -> None:
    """With its keys, rules and configuration. What its calls did stays on record."""
    if workspace_id == DEFAULT_WORKSPACE:
        raise HTTPException(409, "workspace 1 is the operator's and cannot be deleted")
    if not await store.delete_workspace(workspace_id):
        raise no_workspace(workspace_id)
    changed()


@router.get("/keys", summary="List API keys")
async def list_keys(store: Store, scope: Scope) -> list[KeyOut]:
    """All keys that the calling key may see, also revoked ones."""
    return [KeyOut.model_validate(dict(row)) for row in await store.keys(scope)]


@router.post("/keys", status_code=201, summary="Create an API key")
async def create_key(
    store: Store, changed: Changed, scope: Scope, workspace_id: WorkspaceId, body: KeyIn
) -> NewKey:
    """Only the key's hash is kept: what is shown now is never shown again."""
    wanted = workspace_id if body.workspace_id is None else body.workspace_id
    if scope is not None and wanted != scope:
        raise HTTPException(403, f"this key may only create keys of its own workspace, {scope}")
    try:
        key, row = await store.add_key(wanted, body.name, body.role, body.expires_at)
    except IntegrityError as error:
        raise HTTPException(422, f"there is no workspace {wanted}; GET /api/workspaces lists them") from error
    changed()
    return NewKey(**dict(row), key=key)


@router.get("/keys/{key_id}", summary="One API key")
async def get_key(store: Store, scope: Scope, key_id: str) -> KeyOut:
    """Without the key."""
    found = [row for row in await store.keys(scope) if row["id"] == key_id]
    if not found:
        raise _no_key(key_id)
    return KeyOut.model_validate(dict(found[0]))


@router.patch("/keys/{key_id}", summary="Change an API key")
async def change_key(
    store: Store, changed: Changed, scope: Scope, caller: KeyId, key_id: str, body: KeyChange
) -> KeyOut:
    """Name, role, expiry; edges follow within about a second."""
    changes = body.model_dump(exclude_unset=True)
    changes = {name: value for name, value in changes.items() if value is not None or name == "expires_at"}
    if key_id == caller and changes.keys() & {"role", "expires_at"}:
        raise _own_key()
    row = await store.change_key(key_id, scope, changes)
    if row is None:
        raise _no_key(key_id)
    changed()
    return KeyOut.model_validate(dict(row))


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(store: Store, changed: Changed, scope: Scope, caller: KeyId, key_id: str) -> None:
    """It stops working on every edge within about a second."""
    if key_id == caller:
        raise _own_key()
    if not await store.revoke_key(key_id, scope):
        raise _no_key(key_id)
    changed()


def _taken(name: str) -> HTTPException:
    return HTTPException(409, f"there is a workspace '{name}' already")


def _no_key(key_id: str) -> HTTPException:
    return HTTPException(404, f"there is no key '{key_id}'; GET /api/keys lists them")


def _own_key() -> HTTPException:
    return HTTPException(409, "a key cannot lock itself out; use another admin key for this")
