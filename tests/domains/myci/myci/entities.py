"""Whom the events of builds are about."""

from __future__ import annotations

from typing import Final

from agents import Entity

repository: Final = Entity("repository", field="repository_id")
