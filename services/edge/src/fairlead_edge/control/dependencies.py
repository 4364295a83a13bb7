"""What the routes of the control API are given: the caller's workspace, the way to the services, the edge's own store."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, cast

from fairlead_common.access import DEFAULT_WORKSPACE
from fairlead_common.bus.rpc import RpcClient
from fairlead_models.catalog.catalog import Catalog
from fairlead_models.providers import ProviderSpec
from fastapi import Depends, HTTPException, Query, Request
from nats.aio.client import Client

from fairlead_edge.control.publishing import CatalogMaker
from fairlead_edge.fleet import Fleet
from fairlead_edge.store import EdgeStore


def _rpc(request: Request) -> RpcClient:
    return cast("RpcClient", request.app.state.rpc())


def _bus(request: Request) -> Client:
    return cast("Client", request.app.state.bus())


def _draining(request: Request) -> Callable[[], bool]:
    return cast("Callable[[], bool]", request.app.state.draining)


def _workspace_id(request: Request) -> int:
    return cast("int", request.scope["fairlead.workspace_id"])


def _key_id(request: Request) -> str:
    return cast("str", request.scope["fairlead.key_id"])


def _operator(request: Request) -> None:
    if _workspace_id(request) != DEFAULT_WORKSPACE:
        raise HTTPException(
            403,
            f"this touches all workspaces; use an admin key of workspace {DEFAULT_WORKSPACE}, the operator's",
        )


def _scope(request: Request) -> int | None:
    workspace_id = _workspace_id(request)
    return None if workspace_id == DEFAULT_WORKSPACE else workspace_id


def _store(request: Request) -> EdgeStore:
    return cast("EdgeStore", request.app.state.store)


def _fleet(request: Request) -> Fleet:
    return cast("Fleet", request.app.state.fleet)


def _asked_workspace(
    request: Request,
    workspace_id: Annotated[
        int | None, Query(ge=1, description="whose; the caller's own unless the operator names another")
    ] = None,
) -> int:
    own = _workspace_id(request)
    if workspace_id is None or workspace_id == own:
        return own
    if _scope(request) is not None or not _fleet(request).has_workspace(workspace_id):
        raise no_workspace(workspace_id)
    return workspace_id


def no_workspace(workspace_id: int) -> HTTPException:
    """The answer where there is none, or none that the caller may see."""
    return HTTPException(404, f"there is no workspace {workspace_id}; GET /api/workspaces lists them")


def _catalog(request: Request, workspace_id: Annotated[int, Depends(_asked_workspace)]) -> Catalog:
    return _fleet(request).catalog(workspace_id)


def _catalog_source(request: Request) -> CatalogMaker:
    return cast("CatalogMaker", request.app.state.catalog_source)


def _specs(request: Request) -> Sequence[ProviderSpec]:
    return cast("Sequence[ProviderSpec]", request.app.state.specs)


def _changed(request: Request) -> Callable[[], None]:
    return cast("Callable[[], None]", request.app.state.changed)


Rpc = Annotated[RpcClient, Depends(_rpc)]
"""Client of the services' operations; its errors become HTTP answers in one place, the app."""

Bus = Annotated[Client, Depends(_bus)]
"""The connection to the bus, for what is followed rather than asked."""

Draining = Annotated[Callable[[], bool], Depends(_draining)]
"""True once this edge is to stop: what would never end by itself ends then."""

WorkspaceId = Annotated[int, Depends(_workspace_id)]
"""Workspace of the API key that authenticated the request."""

AskedWorkspace = Annotated[int, Depends(_asked_workspace)]
"""Workspace that the request is about: ``?workspace_id=`` of the operator, else the caller's own."""

KeyId = Annotated[str, Depends(_key_id)]
"""The key that authenticated the request."""

Scope = Annotated[int | None, Depends(_scope)]
"""The one workspace whose things the caller may see and change; None = all, for the operator."""

OPERATOR: Final = Depends(_operator)
"""For routes that touch all workspaces: only the operator, an admin of workspace 1, may call them."""

Store = Annotated[EdgeStore, Depends(_store)]
"""Workspaces, keys, model mappings."""

FleetNow = Annotated[Fleet, Depends(_fleet)]
"""What this edge knows."""

CatalogNow = Annotated[Catalog, Depends(_catalog)]
"""The catalog of the workspace that the request is about, as this edge sees it now."""

CatalogSource = Annotated[CatalogMaker, Depends(_catalog_source)]
"""Makes the catalog from its sources as they are now."""

Specs = Annotated[Sequence[ProviderSpec], Depends(_specs)]
"""The providers that are configured."""

Changed = Annotated[Callable[[], None], Depends(_changed)]
"""To be called after a change of access or catalog, so that its snapshot is published at once."""
