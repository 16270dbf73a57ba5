"""Addresses the HTTP interface listens on: bound before anything else starts, and judged by what was really bound.

A name, a setting and an option of the command line say what somebody meant; the socket knows who can reach it. Raises
`OSError`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

#: Connections the kernel keeps for us between two looks; more than come in a moment, and asyncio's own choice is 100.
BACKLOG: Final = 128


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's alone; a name, or nothing, is not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback


def is_private(name: Any) -> bool:
    """Whether a socket with this name (`getsockname()`) can be reached from this machine alone.

    A UNIX socket cannot say: it is there for a proxy, and whoever reaches the proxy reaches it.
    """
    return isinstance(name, tuple) and is_loopback(name[0])


async def listen(host: str, port: int) -> Sequence[socket.socket]:
    """Listen on every address of the host that this machine has; on all of this machine's when it is empty."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    missing: list[OSError] = []
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        try:
            bound.append(_listen(family, address))
        except OSError as error:
            missing.append(error)
            # `localhost` may name an address of IPv6 where there is none.
            if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                close(bound)
                raise
    if not bound:
        raise missing[0]
    return bound


def listen_at_path(path: str) -> socket.socket:
    """Listen on a UNIX socket, in place of one that was left behind."""
    place = Path(path)
    if place.is_socket():
        place.unlink()
    return _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)


def close(sockets: Iterable[socket.socket]) -> None:
    """Listen no more, and leave no path behind."""
    for each in sockets:
        if each.family == socket.AF_UNIX and each.fileno() >= 0:
            Path(each.getsockname()).unlink(missing_ok=True)
        each.close()


def _listen(family: int, address: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        # Else `::` would take the IPv4 address as well, which has a socket of its own.
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return _bound(listening, address)


def _bound(listening: socket.socket, address: Any) -> socket.socket:
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)  # noqa: FBT003 - the standard library's way
    return listening
