"""Callers: who may do what."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from app.web.callers import NOBODY, Caller, Role, caller_of, require, required_role, set_caller

REQUIRED = {("GET", "/seen"): Role.NOTHING, ("POST", "/asked"): Role.READ, ("GET", "/kept"): Role.OPERATE}
LOCAL = Caller(name=None, role=Role.READ)
ADA = Caller(name="ada", role=Role.OPERATE, known_by="token")


def asked_by(caller: Caller) -> web.Request:
    request = make_mocked_request("GET", "/")
    set_caller(request, caller)
    return request


def test_each_role_may_do_what_those_before_it_may() -> None:
    assert [role.word for role in sorted(Role)] == ["nothing", "read", "operate", "approve"]
    for role in (Role.NOTHING, Role.READ, Role.OPERATE):
        assert require(asked_by(ADA), role) is ADA


def test_who_is_known_reads_which_role_is_missing() -> None:
    with pytest.raises(web.HTTPForbidden) as refused:
        require(asked_by(ADA), Role.APPROVE)
    assert refused.value.reason == "ada has the role operate, and this needs approve"


@pytest.mark.parametrize("caller", [NOBODY, LOCAL])
def test_who_is_not_known_reads_how_to_come_in(caller: Caller) -> None:
    with pytest.raises(web.HTTPUnauthorized) as refused:
        require(asked_by(caller), Role.OPERATE)
    assert refused.value.headers["WWW-Authenticate"] == "Bearer"


def test_a_request_that_passed_no_middleware_has_no_caller() -> None:
    with pytest.raises(KeyError):
        caller_of(make_mocked_request("GET", "/"))


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/seen", Role.NOTHING),
        ("HEAD", "/seen", Role.NOTHING),
        ("POST", "/seen", Role.APPROVE),
        ("POST", "/asked", Role.READ),
        ("GET", "/kept", Role.OPERATE),
        ("HEAD", "/kept", Role.OPERATE),
        # What nobody has thought of is not open.
        ("GET", "/elsewhere", Role.READ),
        ("POST", "/elsewhere", Role.APPROVE),
        ("OPTIONS", "/elsewhere", Role.APPROVE),
        ("GET", None, Role.READ),
        ("DELETE", None, Role.APPROVE),
    ],
)
def test_a_path_that_says_nothing_asks_for_the_highest_role_to_change_something(
    method: str, path: str | None, role: Role
) -> None:
    assert required_role(REQUIRED, method, path) is role
