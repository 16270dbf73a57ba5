"""Errors of the windows that stop a worker; each message says which windows, and why.

WindowsUnusable
├── ChangelogUnreadable   a record of the changelog is no entry of a window
├── TimelineReplaced      the changelog was written from another topic, or a longer one, than the timeline is now
└── SlotUnreadable        a stored entry cannot be read; the next start reads it back from the changelog
"""

from __future__ import annotations


class WindowsUnusable(Exception):
    """The worker must stop: going on would decide without what should be remembered."""

    def __init__(self, table: str, message: str) -> None:
        super().__init__(message)
        #: The name of the window table.
        self.table = table


class ChangelogUnreadable(WindowsUnusable):
    """A record of a changelog is no entry of a window; the message has its topic, partition and offset."""


class TimelineReplaced(WindowsUnusable):
    """The timeline is not the topic the changelog was written from: its offsets mean nothing there."""


class SlotUnreadable(WindowsUnusable):
    """A stored entry cannot be read."""
