"""Callers: who makes a request, as far as that is known, and what they may do.

The middleware finds out and sets it; who answers a request asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from aiohttp import web

#: What says who a caller is: a token of their own (or the session it opened), or a proxy that knows its users.
KnownBy = Literal["token", "proxy"]


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    #: What is open to whoever can reach the interface: health, and a page's way in.
    NOTHING = 0
    READ = 1
    #: Put back what was lost on the way: dead letters and buried messages.
    OPERATE = 2
    #: Answer for held decisions.
    APPROVE = 3

    @property
    def word(self) -> str:
        """As in the settings and in what is recorded."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who makes a request."""

    #: None for somebody on this machine who need not say, and for whoever has the one token without a name.
    name: str | None
    role: Role
    known_by: KnownBy | None = None

    @property
    def is_known(self) -> bool:
        """Whether the name is more than what they say themselves."""
        return self.known_by is not None


#: Whoever has shown nothing and came from elsewhere.
NOBODY: Final = Caller(name=None, role=Role.NOTHING)

#: The role a path asks for, by method and the path as it was declared. A path that is not here asks for `READ` where
#: it is read and for `APPROVE` where it is not.
RequiredRoles = Mapping[tuple[str, str], Role]

_CALLER: Final = web.RequestKey("innervate.caller", Caller)


def caller_of(request: web.BaseRequest) -> Caller:
    """Who makes this request. Raises KeyError for one that did not pass the middleware."""
    return request[_CALLER]


def set_caller(request: web.BaseRequest, caller: Caller) -> None:
    """Note who makes this request; the middleware does."""
    request[_CALLER] = caller


def require(request: web.BaseRequest, role: Role) -> Caller:
    """Who makes this request, if they have that role. Raises 401 for somebody unknown, 403 for others."""
    caller = caller_of(request)
    if caller.role >= role:
        return caller
    if caller.is_known:
        raise web.HTTPForbidden(reason=f"{caller.name} has the role {caller.role.word}, and this needs {role.word}")
    raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})


def required_role(required: RequiredRoles, method: str, path: str | None) -> Role:
    """The role that a path asks for, which is given as it was declared, and as None where it is not there."""
    asked = "GET" if method == "HEAD" else method
    if path is not None and (asked, path) in required:
        return required[asked, path]
    return Role.READ if asked == "GET" else Role.APPROVE
