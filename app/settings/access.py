"""Settings of the HTTP interface: where it listens, and who may do what there. Part of `app.settings.Settings`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from app.settings.values import Names
from app.web.addresses import is_loopback
from app.web.admission import Access
from app.web.callers import Role
from app.web.proxies import Network, TrustedProxy
from app.web.tokens import Token, parse_token, shared_token, token_role

#: In place of an address: whoever comes by a UNIX socket.
UNIX_SOCKET: Final = "unix"
#: A name of a field of HTTP (RFC 9110, 5.1).
_FIELD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: Fields that say something else, in lower case.
_TAKEN: Final = frozenset(
    [
        "accept",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "origin",
        "referer",
        "sec-fetch-site",
        "transfer-encoding",
        "x-csrf-token",
        "x-forwarded-proto",
    ]
)

RoleName = Literal["read", "operate", "approve"]


def _by_group(value: object) -> object:
    """From `sre=operate,finance=approve` to a role by group, still as text."""
    if not isinstance(value, str):
        return value
    roles: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        group, _, role = (piece.strip() for piece in part.rpartition("="))
        if not group or group in roles:
            raise ValueError("expected group=role, separated by commas, each group once")
        roles[group] = role
    return roles


RoleByGroup = Annotated[Mapping[str, RoleName], NoDecode, BeforeValidator(_by_group)]


class AccessSettings(BaseSettings):
    """What an operator can choose about the HTTP interface. Raises pydantic's `ValidationError`."""

    web_bind: str = "127.0.0.1"
    web_port: int = Field(6066, ge=1, le=65535)
    #: Bearer token that everybody shares; who shows it says who they are.
    api_token: SecretStr | None = None
    #: `name:role:sha256` of people's own tokens.
    api_tokens: Names = ()
    #: Has the name of the user that a proxy has let in.
    trusted_proxy_header: str = ""
    #: Where it is believed from: addresses, networks, `unix`.
    trusted_proxies: Names = ("127.0.0.0/8", "::1", UNIX_SOCKET)
    #: What a user whom the proxy names may.
    trusted_proxy_role: RoleName = "read"
    #: Has the groups of the user.
    trusted_proxy_groups_header: str = ""
    #: What users in a group may besides.
    trusted_proxy_roles: RoleByGroup = Field(default_factory=dict)
    #: Whether `/metrics` is open to whoever reaches the interface, as health is.
    metrics_open: bool = False
    #: Whether nothing can be changed by HTTP or by command.
    read_only: bool = False

    @field_validator("api_token", mode="before")
    @classmethod
    def _no_token(cls, value: object) -> object:
        return value or None  # an empty one would lock everybody out

    @field_validator("api_tokens")
    @classmethod
    def _of_somebody(cls, lines: Sequence[str]) -> Sequence[str]:
        digests = set()
        for number, line in enumerate(lines, 1):
            try:
                digests.add(parse_token(line).sha256)
            except ValueError as error:
                raise ValueError(f"token {number}: {error}") from None
            if len(digests) < number:
                raise ValueError(f"token {number} is there already: a token is one person's")
        return lines

    @field_validator("trusted_proxy_header", "trusted_proxy_groups_header")
    @classmethod
    def _header_of_its_own(cls, name: str) -> str:
        if name and (not _FIELD.fullmatch(name) or name.lower() in _TAKEN):
            raise ValueError("expected the name of a header that says nothing else, such as X-Forwarded-User")
        return name

    @field_validator("trusted_proxies")
    @classmethod
    def _few_addresses(cls, places: Sequence[str]) -> Sequence[str]:
        for place in places:
            if place != UNIX_SOCKET and _network(place).prefixlen == 0:
                raise ValueError(f"{place} is every address: anybody could say who they are")
        if not places:
            raise ValueError("expected at least one address, a network, or `unix`")
        return places

    @model_validator(mode="after")
    def _header_for_what_needs_one(self) -> AccessSettings:
        if not self.trusted_proxy_header:
            of_proxies = {name for name in type(self).model_fields if name.startswith("trusted_prox")}
            if given := sorted(name for name in of_proxies & self.model_fields_set if getattr(self, name)):
                raise ValueError(f"{given[0].upper()} does nothing without TRUSTED_PROXY_HEADER")
        if self.trusted_proxy_roles and not self.trusted_proxy_groups_header:
            raise ValueError("TRUSTED_PROXY_ROLES does nothing without TRUSTED_PROXY_GROUPS_HEADER")
        if self.trusted_proxy_groups_header and not self.trusted_proxy_roles:
            raise ValueError("TRUSTED_PROXY_GROUPS_HEADER does nothing without TRUSTED_PROXY_ROLES")
        if self.trusted_proxy_header and self.trusted_proxy_header.lower() == self.trusted_proxy_groups_header.lower():
            raise ValueError("TRUSTED_PROXY_GROUPS_HEADER and TRUSTED_PROXY_HEADER are the same header")
        return self

    @model_validator(mode="after")
    def _tokens_apart(self) -> AccessSettings:
        digests = [token.sha256 for token in self.access.tokens]
        if len(set(digests)) < len(digests):
            raise ValueError("API_TOKENS has the hash of API_TOKEN: give everybody a token of their own")
        return self

    @model_validator(mode="after")
    def _guarded_off_loopback(self) -> AccessSettings:
        if not self.web_on_loopback and not self.access.is_guarded:
            raise ValueError(
                "WEB_BIND is not loopback: set API_TOKEN or API_TOKENS, or the whole network can read the windows"
            )
        return self

    @property
    def web_on_loopback(self) -> bool:
        """Whether only this machine can reach the HTTP interface, by the setting: what is bound decides."""
        return self.web_bind == "localhost" or is_loopback(self.web_bind)

    @property
    def access(self) -> Access:
        """Who may do what by HTTP."""
        shared = [] if self.api_token is None else [shared_token(self.api_token.get_secret_value())]
        tokens: Sequence[Token] = (*shared, *map(parse_token, self.api_tokens))
        return Access(tokens=tokens, proxy=self._proxy(), is_read_only=self.read_only)

    def _proxy(self) -> TrustedProxy | None:
        if not self.trusted_proxy_header:
            return None
        roles: Mapping[str, Role] = {group: token_role(role) for group, role in self.trusted_proxy_roles.items()}
        return TrustedProxy(
            header=self.trusted_proxy_header,
            networks=[_network(place) for place in self.trusted_proxies if place != UNIX_SOCKET],
            by_unix_socket=UNIX_SOCKET in self.trusted_proxies,
            role=token_role(self.trusted_proxy_role),
            groups_header=self.trusted_proxy_groups_header,
            roles=roles,
        )


def _network(place: str) -> Network:
    """Raises ValueError for what is neither an address nor a network."""
    try:
        return ipaddress.ip_network(place)
    except ValueError:
        raise ValueError(f"{place!r} is neither an address nor a network such as 10.0.0.0/24, nor `unix`") from None
