"""Audit of the quarantines: the rows of another domain's effect, against the decisions and against what is told.

All events of a repository lie in one partition, so its story is decided in its order whatever is interrupted: each that
was told as a whole must have ended with its quarantine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from evidence import Evidence
from findings import Findings

#: Who quarantines.
QUARANTINER: Final = "flaky"


def check_quarantines(evidence: Evidence, findings: Findings) -> None:
    """Add to the findings whatever is wrong with quarantines."""
    deciders = {row.id for row in evidence.decisions if row.agent == QUARANTINER and row.status == "committed"}
    rows = {row.quarantine_id: row for row in evidence.quarantines}
    told = _told(evidence)
    findings.quarantine_undecided = sorted(name for name, row in rows.items() if row.decision_id not in deciders)
    findings.quarantine_untold = sorted(name for name in rows if len(told.get(name, {})) != 1)
    for name, messages in sorted(told.items()):
        row = asdict(rows[name]) if name in rows else {"": "there is none"}
        row.pop("decision_id", None)
        if any(row != {column: said.get(column) for column in row} for said in messages.values()):
            findings.quarantine_invented.append(name)
    quarantined = {(row.repository_id, row.test) for row in rows.values()}
    findings.never_quarantined = sorted(where for where, _ in set(evidence.to_quarantine.items()) - quarantined)


def _told(evidence: Evidence) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """What messages say, by the id of the quarantine and the id of the message: copies count once."""
    told: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for record in evidence.domain:
        event = record.event
        if event is not None and event["type"] == "RepositoryQuarantined":
            told[event["data"]["quarantine_id"]][event["id"]] = event["data"]
    return told
