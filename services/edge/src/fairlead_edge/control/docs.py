"""``/api/docs``: Swagger UI, every byte of it from this edge, and the schema behind it. The same for all, without a key."""

import asyncio
import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

PATH: Final = "/api/docs"
SCHEMA_PATH: Final = "/api/openapi.json"
ASSETS: Final = {
    f"{PATH}/swagger-ui-bundle.js": "text/javascript",
    f"{PATH}/swagger-ui.css": "text/css",
    f"{PATH}/favicon.png": "image/png",
}
OPEN_PATHS: Final = frozenset((PATH, SCHEMA_PATH, *ASSETS))
SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
DAY: Final = "public, max-age=86400"


def serve(app: FastAPI) -> None:
    """Add the page, its files and the schema."""
    script, style, icon = ASSETS
    page = get_swagger_ui_html(
        openapi_url=SCHEMA_PATH,
        title=app.title,
        swagger_js_url=script,
        swagger_css_url=style,
        swagger_favicon_url=icon,
    )
    policy = policy_of(bytes(page.body).decode())

    @app.get(SCHEMA_PATH, include_in_schema=False)
    async def schema() -> JSONResponse:
        """Made in a thread, because the request path shares this loop."""
        return JSONResponse(await asyncio.to_thread(app.openapi))

    @app.get(PATH, include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.body, headers={"content-security-policy": policy})

    @app.get(PATH + "/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        path = f"{PATH}/{name}"
        if path not in ASSETS:
            raise HTTPException(404)
        found = files("fastapi_offline") / "static" / name
        return Response(
            await asyncio.to_thread(found.read_bytes), media_type=ASSETS[path], headers={"cache-control": DAY}
        )


def policy_of(page: str) -> str:
    """The page's Content-Security-Policy: its own files, and the scripts that stand in it, by their hashes."""
    hashes = (hashlib.sha256(each.encode()).digest() for each in SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
