"""Whom the platform's events are about."""

from __future__ import annotations

from typing import Final

from agents.model.entity import Entity

service: Final = Entity("service", field="service")
