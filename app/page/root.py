"""Root: `/` leads a browser to the page and tells a program where the API is."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from app.page.security import ALWAYS
from app.web.negotiation import PAGE, prefers_html

#: What a program is told. Nothing that needs a token.
_PLACES: Final = {
    "status": "OK",
    "page": PAGE,
    "api": "/openapi.json",
    "live": "/health/live",
    "ready": "/health/ready",
}


async def lead(request: web.Request) -> web.Response:
    """Where to go from here."""
    headers = {**ALWAYS, "Cache-Control": "no-store", "Vary": "Accept"}
    if prefers_html(request):
        return web.Response(status=303, headers={**headers, "Location": PAGE})
    return web.json_response(_PLACES, headers=headers)
