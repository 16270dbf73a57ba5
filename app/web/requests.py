"""What a request must look like before anybody looks at it. A wrong one is 400 and says what was expected."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from aiohttp import web

from agents.model.text import escaped

#: A name or an address, and a port: no user, no path, nothing else.
_HOST: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?")
#: Line breaks, other controls and lone surrogates: no header or log can hold them, and PostgreSQL no NUL.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def host_of(request: web.BaseRequest) -> str:
    """The name or address this machine is called by, lower case and without brackets; empty for HTTP/1.0 without one.

    Raises 400.
    """
    hosts = request.headers.getall("Host", [])
    if not hosts and request.version < (1, 1):
        return ""
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None or int(found["port"] or 0) > 65535:
        raise web.HTTPBadRequest(reason="expected one Host, a name or an address with or without a port")
    return found["name"].strip("[]").lower()


def refuse_control_characters(request: web.BaseRequest) -> None:
    """Raise 400 when the path or the query holds one, however it is quoted."""
    texts = [request.path, *request.query, *request.query.values()]
    if any(map(_CONTROL.search, texts)):
        raise web.HTTPBadRequest(reason="control characters are not allowed in a path or a query")


def refuse_unknown_parameters(request: web.BaseRequest, allowed: Collection[str]) -> None:
    """Raise 400 for a parameter of the query that is not allowed, or that comes twice."""
    for name in request.query:
        if name not in allowed:
            known = f"there are {', '.join(sorted(allowed))}" if allowed else "there are none here"
            raise web.HTTPBadRequest(reason=f"no parameter {escaped(name)[:100]}: {known}")
        if len(request.query.getall(name)) > 1:
            raise web.HTTPBadRequest(reason=f"parameter {name} is given twice")
