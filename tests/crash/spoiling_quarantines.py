"""Spoiling quarantines: a decision less, a row of another test, a quarantine that nobody is told of."""

from __future__ import annotations

from evidence import Evidence
from spoiling import STRANGER, UNTOLD, SpoiltEffects, event_of
from witness import rows


def made(clean: Evidence) -> int:
    """How many of the repositories that were made to fail got their quarantine."""
    return len(clean.to_quarantine.items() & {(row.repository_id, row.test) for row in clean.quarantines})


def spoil(url: str, clean: Evidence) -> SpoiltEffects:
    """Spoil quarantines of two repositories that were made to fail."""
    changed, orphaned, *_ = (row for row in clean.quarantines if clean.to_quarantine.get(row.repository_id) == row.test)
    rows(url, "DELETE FROM decisions WHERE id = %s", orphaned.decision_id)
    rows(url, "UPDATE quarantines SET test = 'another' WHERE quarantine_id = %s", changed.quarantine_id)
    rows(
        url,
        "INSERT INTO quarantines (quarantine_id, decision_id, repository_id, test) VALUES (%s, %s, 'r', 't')",
        UNTOLD,
        changed.decision_id,
    )
    told = {"repository_id": "r", "quarantine_id": STRANGER, "test": "t"}
    return SpoiltEffects(
        unfounded=orphaned.decision_id,
        invented_event_id="never-quarantined",
        invented=event_of("never-quarantined", "urn:innervate:agent:flaky", "RepositoryQuarantined", told),
        findings={
            "quarantine_undecided": [orphaned.quarantine_id],
            "quarantine_untold": [UNTOLD],
            # The one nobody made, and the one that was told of another test than its row has now.
            "quarantine_invented": sorted([STRANGER, changed.quarantine_id]),
            "never_quarantined": [changed.repository_id],
        },
    )
