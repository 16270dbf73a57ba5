"""Settings of the HTTP interface: who may do what there, and what cannot be meant."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.web.callers import Role

HASHES = [hashlib.sha256(secret).hexdigest() for secret in (b"one", b"two", b"three")]
PROXY: dict[str, Any] = {"trusted_proxy_header": "X-Forwarded-User"}


def problem(**values: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **values)
    [error] = refused.value.errors()
    return ": ".join([*map(str, error["loc"]), error["msg"].removeprefix("Value error, ")])


def test_nothing_set_guards_nothing() -> None:
    access = Settings(_env_file=None).access
    assert (access.tokens, access.proxy, access.is_read_only, access.is_guarded) == ((), None, False, False)


def test_people_have_tokens_beside_the_one_that_everybody_shares() -> None:
    lines = f"anna:approve:{HASHES[0]}, bert : read : {HASHES[1]},"
    access = Settings(_env_file=None, api_token="three", api_tokens=lines).access
    assert [(token.name, token.role, token.sha256.hex()) for token in access.tokens] == [
        (None, Role.APPROVE, HASHES[2]),
        ("anna", Role.APPROVE, HASHES[0]),
        ("bert", Role.READ, HASHES[1]),
    ]
    assert access.is_guarded


def test_somebody_may_have_two_tokens_while_one_takes_the_place_of_the_other() -> None:
    access = Settings(_env_file=None, api_tokens=f"anna:approve:{HASHES[0]},anna:approve:{HASHES[1]}").access
    assert [token.name for token in access.tokens] == ["anna", "anna"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("secret-token", "api_tokens: token 1: expected name:role:sha256, as `faust -A app token NAME ROLE` prints it"),
        (
            f"anna:approve:{HASHES[0]},bert:admin:{HASHES[1]}",
            "api_tokens: token 2: there are the roles read, operate, approve",
        ),
        (
            f"anna:approve:{HASHES[0]},bert:read:{HASHES[0]}",
            "api_tokens: token 2 is there already: a token is one person's",
        ),
    ],
)
def test_a_wrong_token_is_refused_without_repeating_it(lines: str, said: str) -> None:
    assert problem(api_tokens=lines) == said


def test_the_shared_token_is_nobodys_own() -> None:
    assert problem(api_token="one", api_tokens=f"anna:approve:{HASHES[0]}") == (
        "API_TOKENS has the hash of API_TOKEN: give everybody a token of their own"
    )


@pytest.mark.parametrize("guard", [{"api_token": "x"}, {"api_tokens": f"anna:read:{HASHES[0]}"}, PROXY])
def test_off_loopback_there_is_something_to_show(guard: dict[str, Any]) -> None:
    assert Settings(_env_file=None, web_bind="0.0.0.0", **guard).access.is_guarded
    assert problem(web_bind="0.0.0.0") == (
        "WEB_BIND is not loopback: set API_TOKEN or API_TOKENS, or the whole network can read the windows"
    )


def test_a_proxy_on_this_machine_is_believed_unless_others_are_named() -> None:
    here = Settings(_env_file=None, **PROXY).access.proxy
    assert here is not None
    assert (here.header, list(map(str, here.networks)), here.by_unix_socket) == (
        "X-Forwarded-User",
        ["127.0.0.0/8", "::1/128"],
        True,
    )
    assert (here.role, here.groups_header, here.roles) == (Role.READ, "", {})
    there = Settings(
        _env_file=None,
        **PROXY,
        trusted_proxies="10.0.0.5,fd00::/64",
        trusted_proxy_role="operate",
        trusted_proxy_groups_header="X-Forwarded-Groups",
        trusted_proxy_roles="cn=leads=approve, sre=operate",
    ).access.proxy
    assert there is not None
    assert (list(map(str, there.networks)), there.by_unix_socket) == (["10.0.0.5/32", "fd00::/64"], False)
    assert (there.role, there.roles) == (Role.OPERATE, {"cn=leads": Role.APPROVE, "sre": Role.OPERATE})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"trusted_proxies": "10.0.0.5"}, "TRUSTED_PROXIES does nothing without TRUSTED_PROXY_HEADER"),
        ({"trusted_proxy_role": "approve"}, "TRUSTED_PROXY_ROLE does nothing without TRUSTED_PROXY_HEADER"),
        (
            {"trusted_proxy_groups_header": "X-Groups", "trusted_proxy_roles": "a=read"},
            "TRUSTED_PROXY_GROUPS_HEADER does nothing without TRUSTED_PROXY_HEADER",
        ),
        (
            PROXY | {"trusted_proxy_roles": "a=read"},
            "TRUSTED_PROXY_ROLES does nothing without TRUSTED_PROXY_GROUPS_HEADER",
        ),
        (
            PROXY | {"trusted_proxy_groups_header": "X-Groups"},
            "TRUSTED_PROXY_GROUPS_HEADER does nothing without TRUSTED_PROXY_ROLES",
        ),
        (
            PROXY | {"trusted_proxy_groups_header": "x-forwarded-user", "trusted_proxy_roles": "a=read"},
            "TRUSTED_PROXY_GROUPS_HEADER and TRUSTED_PROXY_HEADER are the same header",
        ),
        (
            PROXY | {"trusted_proxies": "0.0.0.0/0"},
            "trusted_proxies: 0.0.0.0/0 is every address: anybody could say who they are",
        ),
        (PROXY | {"trusted_proxies": "::/0"}, "trusted_proxies: ::/0 is every address: anybody could say who they are"),
        (
            PROXY | {"trusted_proxies": "proxy.example"},
            "trusted_proxies: 'proxy.example' is neither an address nor a network such as 10.0.0.0/24, nor `unix`",
        ),
        (PROXY | {"trusted_proxies": ""}, "trusted_proxies: expected at least one address, a network, or `unix`"),
        *(
            (
                {"trusted_proxy_header": name},
                "trusted_proxy_header: expected the name of a header that says nothing else, such as X-Forwarded-User",
            )
            for name in ("Authorization", "cookie", "Host", "X-CSRF-Token", "two words", "a:b")
        ),
        (
            PROXY | {"trusted_proxy_groups_header": "X-Groups", "trusted_proxy_roles": "a"},
            "trusted_proxy_roles: expected group=role, separated by commas, each group once",
        ),
        (
            PROXY | {"trusted_proxy_groups_header": "X-Groups", "trusted_proxy_roles": "a=read,a=approve"},
            "trusted_proxy_roles: expected group=role, separated by commas, each group once",
        ),
    ],
)
def test_what_cannot_be_meant_stops_the_start_with_one_line(values: dict[str, Any], said: str) -> None:
    assert problem(**values) == said


@pytest.mark.parametrize(
    "values", [PROXY | {"trusted_proxy_groups_header": "X-Groups", "trusted_proxy_roles": "a=admin"}]
)
def test_there_are_three_roles(values: dict[str, Any]) -> None:
    assert problem(**values) == "trusted_proxy_roles: a: Input should be 'read', 'operate' or 'approve'"
