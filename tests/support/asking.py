"""Requests that were never sent: what a server knows of one before anybody looks at it."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from aiohttp import web
from aiohttp.test_utils import make_mocked_request


def request_from(
    peer: Any, *headers: tuple[str, str], path: str = "/", method: str = "GET", sockname: Any = ("127.0.0.1", 6066)
) -> web.Request:
    """A request from this end of a socket (`getpeername()`), with these header fields."""
    transport = Mock()
    known = {"peername": peer, "sockname": sockname}
    transport.get_extra_info.side_effect = lambda name, default=None: known.get(name, default)
    return make_mocked_request(method, path, headers, transport=transport)
