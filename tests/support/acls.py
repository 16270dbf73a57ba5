"""Rights on an Apache Kafka with an authorizer, taken from everybody and given back. aiokafka's admin knows no ACLs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

#: Whoever has not logged in may do what no rule is about.
AUTHORIZER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": "User:admin",
    }
)

# The numbers of the protocol: org.apache.kafka.common.resource and .acl.
_RESOURCES: Final = {"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
_OPERATIONS: Final = {"ALL": 2, "READ": 3, "WRITE": 4, "IDEMPOTENT_WRITE": 12}
_DENY: Final = 2
_ALLOW: Final = 3
_PATTERNS: Final = {"literal": 3, "prefixed": 4}


class Acls:
    """Rules for everybody on one broker."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def deny(self, resource: str, name: str, operation: str, *, pattern: str = "literal") -> None:
        """Take one right away and leave all others."""
        await self._send(CreateAclsRequest, resource, name, pattern, "ALL", _ALLOW)
        await self._send(CreateAclsRequest, resource, name, pattern, operation, _DENY)

    async def restore(self, resource: str, name: str, operation: str, *, pattern: str = "literal") -> None:
        """Take both rules back."""
        await self._send(DeleteAclsRequest, resource, name, pattern, operation, _DENY)
        await self._send(DeleteAclsRequest, resource, name, pattern, "ALL", _ALLOW)

    @asynccontextmanager
    async def denied(
        self, resource: str, name: str, operation: str, *, pattern: str = "literal"
    ) -> AsyncIterator[None]:
        await self.deny(resource, name, operation, pattern=pattern)
        try:
            yield
        finally:
            await self.restore(resource, name, operation, pattern=pattern)

    async def _send(
        self,
        request: type[CreateAclsRequest | DeleteAclsRequest],
        resource: str,
        name: str,
        pattern: str,
        operation: str,
        permission: int,
    ) -> None:
        client = AIOKafkaClient(bootstrap_servers=self._address)
        await client.bootstrap()
        try:
            response = await client.send(
                client.get_random_node(),
                request(
                    *[_RESOURCES[resource], name, _PATTERNS[pattern], "User:ANONYMOUS", "*"],
                    *[_OPERATIONS[operation], permission],
                ),
            )
        finally:
            await client.close()
        [result] = response.to_object()[{CreateAclsRequest: "creation_responses"}.get(request, "filter_responses")]
        assert result["error_code"] == 0, result
