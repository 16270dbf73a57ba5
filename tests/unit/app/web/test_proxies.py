"""Proxies: whose word is taken for who asks, and from where."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from aiohttp import web
from asking import request_from

from app.web.callers import Caller, Role
from app.web.proxies import TrustedProxy

USER, GROUPS = "X-Forwarded-User", "X-Forwarded-Groups"
PROXY = TrustedProxy(
    header=USER,
    networks=[ipaddress.ip_network(place) for place in ("127.0.0.0/8", "::1", "10.1.2.0/24")],
    by_unix_socket=False,
    groups_header=GROUPS,
    roles={"sre": Role.OPERATE, "payments=leads": Role.APPROVE},
)
BY_SOCKET = TrustedProxy(header=USER, networks=[], by_unix_socket=True)
HERE = ("127.0.0.1", 50_000)


@pytest.mark.parametrize(
    "peer",
    [HERE, ("127.9.9.9", 1), ("::1", 1, 0, 0), ("10.1.2.3", 1), ("::ffff:10.1.2.3", 1, 0, 0)],
)
def test_a_user_is_who_the_proxy_says_it_is(peer: Any) -> None:
    assert PROXY.caller(request_from(peer, (USER, "ada"))) == Caller(name="ada", role=Role.READ, known_by="proxy")


@pytest.mark.parametrize(
    "peer", [("10.1.3.3", 1), ("192.0.2.1", 1), ("2001:db8::1", 1, 0, 0), ("::ffff:192.0.2.1", 1, 0, 0), ("", 1)]
)
@pytest.mark.parametrize("header", [USER, USER.lower(), GROUPS])
def test_who_says_so_from_elsewhere_is_refused(peer: Any, header: str) -> None:
    with pytest.raises(web.HTTPForbidden, match="X-Forwarded-User is believed from the addresses in TRUSTED_PROXIES"):
        PROXY.caller(request_from(peer, (header, "ada")))


@pytest.mark.parametrize("peer", [HERE, ("192.0.2.1", 1)])
def test_who_says_nothing_is_nobody(peer: Any) -> None:
    assert PROXY.caller(request_from(peer, ("X-Forwarded-For", "10.1.2.3"))) is None


def test_where_it_came_from_before_makes_no_difference() -> None:
    spoofed = (("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1"), ("X-Real-IP", "10.1.2.3"))
    with pytest.raises(web.HTTPForbidden):
        PROXY.caller(request_from(("192.0.2.1", 1), (USER, "ada"), *spoofed))


@pytest.mark.parametrize(("sockname", "peer"), [("/run/innervate.sock", ""), (b"", b"")])
def test_a_unix_socket_is_the_proxys_where_the_settings_say_so(sockname: Any, peer: Any) -> None:
    request = request_from(peer, (USER, "ada"), sockname=sockname)
    assert BY_SOCKET.caller(request) == Caller(name="ada", role=Role.READ, known_by="proxy")
    with pytest.raises(web.HTTPForbidden):
        PROXY.caller(request)


@pytest.mark.parametrize("names", [("ada", "bob"), ("",), (" ",), ("a" * 201,), ("a\u202eb",)])
def test_a_name_that_is_none_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(web.HTTPBadRequest, match="expected one X-Forwarded-User"):
        PROXY.caller(request_from(HERE, *((USER, name) for name in names)))


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ((), Role.READ),
        (("staff",), Role.READ),
        (("staff, sre",), Role.OPERATE),
        (("sre,payments=leads",), Role.APPROVE),
        (("sre", "payments=leads"), Role.APPROVE),
        (("SRE",), Role.READ),
    ],
)
def test_the_highest_role_of_a_users_groups_is_theirs(groups: tuple[str, ...], role: Role) -> None:
    request = request_from(HERE, (USER, "ada"), *((GROUPS, group) for group in groups))
    assert PROXY.caller(request) == Caller(name="ada", role=role, known_by="proxy")


def test_groups_without_a_user_are_nobodys() -> None:
    assert PROXY.caller(request_from(HERE, (GROUPS, "sre"))) is None
