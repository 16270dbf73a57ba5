"""Proxies that know their users: a header that says who asks, believed from their addresses alone.

From anywhere else the header is refused, not passed over: a worker hands a request on to the one that owns a window
with all its headers, and what it did not believe itself nobody may believe because it comes from there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from agents.model.text import is_plain
from app.web.addresses import is_loopback
from app.web.callers import Caller, Role

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Longest name that is believed, in characters.
MAX_NAME: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustedProxy:
    """Whose word is taken for who asks."""

    #: Has the name of the user.
    header: str
    networks: Sequence[Network]
    #: Whether whoever reaches the interface by a UNIX socket is the proxy.
    by_unix_socket: bool
    #: What every user may.
    role: Role = Role.READ
    #: Has the user's groups, separated by commas; empty where groups say nothing.
    groups_header: str = ""
    #: What users in a group may besides.
    roles: Mapping[str, Role] = field(default_factory=dict)

    def caller(self, request: web.BaseRequest) -> Caller | None:
        """Who the proxy says asks; None when it says nothing. Raises 403 for anybody else who says so, 400."""
        names = request.headers.getall(self.header, [])
        groups = request.headers.getall(self.groups_header, []) if self.groups_header else []
        if not names and not groups:
            return None
        if not self._is_trusted(request):
            raise web.HTTPForbidden(reason=f"{self.header} is believed from the addresses in TRUSTED_PROXIES alone")
        if not names:
            return None
        if len(names) > 1 or not _is_name(names[0]):
            raise web.HTTPBadRequest(reason=f"expected one {self.header}, a name of at most {MAX_NAME} characters")
        return Caller(name=names[0].strip(), role=self._role(groups), known_by="proxy")

    def _role(self, groups: Sequence[str]) -> Role:
        named = {group.strip() for several in groups for group in several.split(",")}
        return max([self.role, *(self.roles[group] for group in named & self.roles.keys())])

    def _is_trusted(self, request: web.BaseRequest) -> bool:
        transport = request.transport
        if transport is None:
            return False
        if not isinstance(transport.get_extra_info("sockname"), tuple):
            return self.by_unix_socket
        return is_within(peer_address(transport.get_extra_info("peername")), self.networks)


def peer_address(peer: Any) -> str:
    """The address in what a socket says of its other end; empty for a UNIX socket."""
    return str(peer[0]).partition("%")[0] if isinstance(peer, tuple) else ""


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address belongs to one of the networks; an IPv4 address is the same in the clothes of IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in networks)


def came_by_loopback(request: web.BaseRequest) -> bool:
    """Whether the other end is on this machine and no UNIX socket: a browser may be."""
    return request.transport is not None and is_loopback(peer_address(request.transport.get_extra_info("peername")))


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MAX_NAME and is_plain(text)
