"""What the edge keeps in Postgres: workspaces, API keys, model mappings. Never touched on the request path."""

import json
from datetime import datetime
from typing import Any

from fairlead_common.access import (
    AccessSnapshot,
    KeyEntry,
    WorkspaceEntry,
    WorkspaceSettings,
    key_hash,
    key_hint,
    new_key,
)
from fairlead_common.db.database import Database
from fairlead_common.decisions.targets import Target
from fairlead_common.ids import new_id
from sqlalchemy import RowMapping

KEY_COLUMNS = "id, workspace_id, name, role, hint, enabled, expires_at, created_at"
MAPPING_COLUMNS = (
    "id, workspace_id, model_name, provider, equivalent_models, capabilities, pricing, verified, reported_wrong,"
    " updated_at"
)


class EdgeStore:
    """One query each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def access(self) -> AccessSnapshot:
        """Every enabled key by its hash, and every workspace."""
        keys = await self._database.fetch(
            "SELECT id, workspace_id, role, sha256, expires_at FROM api_key WHERE enabled ORDER BY id"
        )
        spaces = await self._database.fetch("SELECT id, name, settings FROM workspace ORDER BY id")
        return AccessSnapshot(
            keys={
                row["sha256"]: KeyEntry(
                    key_id=row["id"],
                    workspace_id=row["workspace_id"],
                    role=row["role"],
                    expires_at=row["expires_at"],
                )
                for row in keys
            },
            workspaces={
                row["id"]: WorkspaceEntry(workspace_id=row["id"], name=row["name"], settings=row["settings"])
                for row in spaces
            },
        )

    async def workspaces(self, only: int | None) -> list[RowMapping]:
        """All workspaces, or one."""
        return await self._database.fetch(
            "SELECT id, name, created_at FROM workspace"
            " WHERE CAST(:only AS integer) IS NULL OR id = :only ORDER BY id",
            only=only,
        )

    async def add_workspace(self, name: str) -> RowMapping | None:
        """The new workspace, or None when the name is taken."""
        rows = await self._database.fetch(
            "INSERT INTO workspace (name) VALUES (:name) ON CONFLICT (name) DO NOTHING RETURNING id, name, created_at",
            name=name,
        )
        return rows[0] if rows else None

    async def set_settings(self, workspace_id: int, settings: WorkspaceSettings) -> bool:
        """Replace what a workspace has chosen; False when there is none of that id."""
        rows = await self._database.fetch(
            "UPDATE workspace SET settings = CAST(:settings AS jsonb) WHERE id = :id RETURNING id",
            id=workspace_id,
            settings=settings.model_dump_json(),
        )
        return bool(rows)

    async def settings(self, workspace_id: int) -> WorkspaceSettings | None:
        """What a workspace has chosen, or None when there is none of that id."""
        rows = await self._database.fetch("SELECT settings FROM workspace WHERE id = :id", id=workspace_id)
        return WorkspaceSettings.model_validate(rows[0]["settings"]) if rows else None

    async def rename_workspace(self, workspace_id: int, name: str) -> RowMapping | None:
        """The workspace, or None when there is none of that id. Raises IntegrityError when the name is taken."""
        rows = await self._database.fetch(
            "UPDATE workspace SET name = :name WHERE id = :id RETURNING id, name, created_at",
            id=workspace_id,
            name=name,
        )
        return rows[0] if rows else None

    async def delete_workspace(self, workspace_id: int) -> bool:
        """Delete it with all that belongs to it; False when there is none of that id."""
        return bool(
            await self._database.fetch("DELETE FROM workspace WHERE id = :id RETURNING id", id=workspace_id)
        )

    async def keys(self, only: int | None) -> list[RowMapping]:
        """All keys, or those of one workspace; their hashes stay here."""
        return await self._database.fetch(
            f"SELECT {KEY_COLUMNS} FROM api_key"
            " WHERE CAST(:only AS integer) IS NULL OR workspace_id = :only ORDER BY created_at, id",
            only=only,
        )

    async def add_key(
        self, workspace_id: int, name: str, role: str, expires_at: datetime | None
    ) -> tuple[str, RowMapping]:
        """(the key, which is not kept; its row). Raises IntegrityError for an unknown workspace."""
        key = new_key()
        rows = await self._database.fetch(
            "INSERT INTO api_key (id, workspace_id, name, role, sha256, hint, expires_at) VALUES"
            f" (:id, :workspace_id, :name, :role, :sha256, :hint, :expires_at) RETURNING {KEY_COLUMNS}",
            id=new_id(),
            workspace_id=workspace_id,
            name=name,
            role=role,
            sha256=key_hash(key),
            hint=key_hint(key),
            expires_at=expires_at,
        )
        return key, rows[0]

    async def change_key(self, key_id: str, only: int | None, changes: dict[str, Any]) -> RowMapping | None:
        """The key after the change, or None when there is none of that id (in workspace ``only``)."""
        columns = [name for name in ("name", "role", "expires_at") if name in changes]
        setting = ", ".join(f"{name} = :{name}" for name in columns) or "name = name"
        rows = await self._database.fetch(
            f"UPDATE api_key SET {setting} WHERE id = :id"
            f" AND (CAST(:only AS integer) IS NULL OR workspace_id = :only) RETURNING {KEY_COLUMNS}",
            id=key_id,
            only=only,
            **{name: changes[name] for name in columns},
        )
        return rows[0] if rows else None

    async def revoke_key(self, key_id: str, only: int | None) -> bool:
        """Switch a key off; False when there is none of that id (in workspace ``only``)."""
        return bool(
            await self._database.fetch(
                "UPDATE api_key SET enabled = false WHERE id = :id"
                " AND (CAST(:only AS integer) IS NULL OR workspace_id = :only) RETURNING id",
                id=key_id,
                only=only,
            )
        )

    async def mappings(self, only: int | None = None) -> list[RowMapping]:
        """All rows of model_mapping, or those of one workspace; those of workspace 1 count for all."""
        return await self._database.fetch(
            f"SELECT {MAPPING_COLUMNS} FROM model_mapping"
            " WHERE CAST(:only AS integer) IS NULL OR workspace_id = :only"
            " ORDER BY workspace_id, provider, model_name",
            only=only,
        )

    async def put_mapping(self, row: dict[str, Any]) -> RowMapping:
        """Create or replace a workspace's row of one model at one provider."""
        found = await self._database.fetch(
            "INSERT INTO model_mapping"
            " (workspace_id, model_name, provider, equivalent_models, capabilities, pricing, verified)"
            " VALUES (:workspace_id, :model_name, :provider, CAST(:equivalent_models AS jsonb),"
            " CAST(:capabilities AS jsonb), CAST(:pricing AS jsonb), :verified)"
            " ON CONFLICT (workspace_id, provider, model_name) DO UPDATE SET"
            " equivalent_models = excluded.equivalent_models, capabilities = excluded.capabilities,"
            " pricing = excluded.pricing, verified = excluded.verified, updated_at = now(), reported_wrong ="
            " CASE WHEN excluded.verified THEN NULL ELSE model_mapping.reported_wrong END"
            f" RETURNING {MAPPING_COLUMNS}",
            **{
                **row,
                "equivalent_models": json.dumps(row["equivalent_models"]),
                "capabilities": json.dumps(row["capabilities"]),
                "pricing": json.dumps(row["pricing"]),
            },
        )
        return found[0]

    async def mark_mapping(
        self, workspace_id: int, target: Target, *, verified: bool, reported: str | None
    ) -> RowMapping:
        """A person of a workspace has looked at a mapping: confirmed it, or says what is wrong with it."""
        found = await self._database.fetch(
            "INSERT INTO model_mapping (workspace_id, model_name, provider, verified, reported_wrong)"
            " VALUES (:workspace_id, :model, :provider, :verified, :reported)"
            " ON CONFLICT (workspace_id, provider, model_name)"
            " DO UPDATE SET verified = excluded.verified,"
            f" reported_wrong = excluded.reported_wrong, updated_at = now() RETURNING {MAPPING_COLUMNS}",
            workspace_id=workspace_id,
            provider=target.provider,
            model=target.model,
            verified=verified,
            reported=reported,
        )
        return found[0]

    async def delete_mapping(self, workspace_id: int, target: Target) -> bool:
        """Remove a workspace's row; False when there is none."""
        return bool(
            await self._database.fetch(
                "DELETE FROM model_mapping WHERE workspace_id = :workspace_id"
                " AND provider = :provider AND model_name = :model RETURNING id",
                workspace_id=workspace_id,
                provider=target.provider,
                model=target.model,
            )
        )
