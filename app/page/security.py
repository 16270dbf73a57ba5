"""Security: what a browser may do with a page, said in every response.

Nothing comes from anywhere else, no text becomes a script, and nobody may frame a page (clickjacking). A script runs
only when its element carries the nonce of its response, which nobody can know before.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

#: Headers of whatever is answered under `/ui/`.
ALWAYS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'nonce-{nonce}'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    # What becomes a part of a page goes through htmx's policy alone, and no text becomes a script.
    "require-trusted-types-for 'script'",
    "trusted-types htmx",
)


def new_nonce() -> str:
    """A nonce for one response: 128 bits nobody can guess (CSP level 3 asks for that many)."""
    return secrets.token_urlsafe(16)


def page_headers(nonce: str) -> Mapping[str, str]:
    """The headers of a page whose scripts carry this nonce. What it shows is of this moment, and not kept."""
    return {
        **ALWAYS,
        "Content-Security-Policy": "; ".join(_POLICY).format(nonce=nonce),
        "Cache-Control": "no-store",
        # The same address answers htmx with a part of the page.
        "Vary": "HX-Request, HX-Request-Type",
    }
