"""What the routes of the control API are given: the caller's workspace, and the way to the services."""

from typing import Annotated, cast

from fairlead_common.bus.rpc import RpcClient
from fastapi import Depends, Request


def _rpc(request: Request) -> RpcClient:
    return cast("RpcClient", request.app.state.rpc)


def _workspace_id(request: Request) -> int:
    return cast("int", request.scope["fairlead.workspace_id"])


Rpc = Annotated[RpcClient, Depends(_rpc)]
"""Client of the services' operations; its errors become HTTP answers in one place, the app."""

WorkspaceId = Annotated[int, Depends(_workspace_id)]
"""Workspace of the API key that authenticated the request."""
