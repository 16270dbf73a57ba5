"""Tells Kafka that a killed worker is gone, where waiting for its session to run out would prove nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest

GROUPS = ("innervate-all", "innervate-router")


def dismiss_members(kafka: str) -> None:
    """Remove every member of the consumer groups of the workers; only for workers that are dead."""
    asyncio.run(_dismiss(kafka))


async def _dismiss(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        for group in GROUPS:
            coordinator = await admin.find_coordinator(group)
            [described] = await admin.describe_consumer_groups([group], coordinator)
            for member_id in _members(described):
                await admin._client.send(coordinator, LeaveGroupRequest(group, member_id))  # noqa: SLF001 - no API
    finally:
        await admin.close()


def _members(described: Any) -> list[str]:
    [(_error, _group, _state, _protocol_type, _protocol, members, *_)] = described.groups
    return [member_id for member_id, *_ in members]
