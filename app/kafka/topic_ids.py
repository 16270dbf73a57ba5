"""Topic ids: which cluster this is and which topics these are, whatever they are called.

Kafka gives a topic an id when it is created (KIP-516, Kafka 2.8): a topic that was deleted and created again has
another one under the same name. aiokafka 0.14 asks for metadata in versions that know no such ids, so the one that does
is spelled out here. A broker that has no ids is known by its cluster alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

#: What a broker says that has no id for a topic.
_NO_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class KnownTopics:
    """A cluster and some of its topics."""

    #: Empty where the broker has none.
    cluster: str
    #: By the topic's name; empty where the broker has none.
    ids: Mapping[str, str]


class _Uuid(AbstractType[UUID]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("topic", CompactString()), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):  # type: ignore[misc]
    """Metadata of some topics, in version 10."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        no_tags: dict[int, bytes] = {}
        return request_struct_class(
            topics=[(_NO_ID, topic, no_tags) for topic in self._topics],
            allow_auto_topic_creation=False,
            include_cluster_authorized_operations=False,
            include_topic_authorized_operations=False,
            tags=no_tags,
        )


async def known_topics(admin: AIOKafkaAdminClient, topics: Collection[str]) -> KnownTopics:
    """Ask for the ids of these topics. Raises `KafkaError`, also when Kafka does not know one of them."""
    client = admin._client  # noqa: SLF001 - the only way to send a request of one's own
    try:
        found = (await client.send(client.get_random_node(), _MetadataRequest(topics))).to_object()
    except (IncompatibleBrokerVersion, NotImplementedError):
        cluster = (await client.send(client.get_random_node(), MetadataRequest([]))).to_object()["cluster_id"]
        return KnownTopics(cluster or "", dict.fromkeys(topics, ""))
    for topic in found["topics"]:
        if topic["error_code"]:
            raise for_code(topic["error_code"])(topic["topic"])
    ids = {topic["topic"]: topic["topic_id"] for topic in found["topics"]}
    return KnownTopics(
        found["cluster_id"] or "", {name: "" if ids[name] == _NO_ID else str(ids[name]) for name in topics}
    )
