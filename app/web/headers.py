"""Headers of every answer: what a browser may do with it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from aiohttp import web

#: Nobody shows an answer inside a page of theirs (clickjacking), takes it for another type, or reads in a link to
#: elsewhere which order was looked at. `same-origin` and not `no-referrer`: with that a form says `Origin: null`.
HEADERS: Final = MappingProxyType(
    {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
_POLICY: Final = "Content-Security-Policy"
_NO_FRAME: Final = "frame-ancestors 'none'"


async def add_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add them before an answer is begun; what it says itself stays, but for who may frame it."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    policy = response.headers.get(_POLICY, "default-src 'none'")
    if "frame-ancestors" not in policy:
        response.headers[_POLICY] = f"{policy.rstrip('; ')}; {_NO_FRAME}"
