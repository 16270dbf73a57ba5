"""Findings: what an audit found. A finding is a list that must be empty; what is only counted is a number."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """Every list empty means that the promises held."""

    #: Kafka acknowledged an event that is not in it: then nothing else here means anything.
    lost_by_kafka: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    decided_twice: list[str] = field(default_factory=list)
    decided_on_nothing: list[str] = field(default_factory=list)
    #: In a timeline and not in any domain topic: of an aborted transaction, or made up.
    routed_from_nothing: list[str] = field(default_factory=list)
    left_in_outbox: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    repeated_for_no_reason: list[str] = field(default_factory=list)
    repeated_too_often: list[str] = field(default_factory=list)
    wrong_history: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    buried_alive: list[str] = field(default_factory=list)

    #: A refund that no committed decision of the recovery agent made.
    refund_undecided: list[str] = field(default_factory=list)
    #: A row of a refund or an entry that no message tells of, or more than one.
    money_untold: list[str] = field(default_factory=list)
    #: A message that tells of a refund or an entry there is no row of, or tells it differently.
    money_invented: list[str] = field(default_factory=list)
    refunded_twice: list[str] = field(default_factory=list)
    #: Payments of which more was given back than taken, by Kafka's own account of what was taken.
    refunds_over_captures: list[str] = field(default_factory=list)
    #: Refunds that are not booked to the last unit between the right accounts.
    ledger_unbalanced: list[str] = field(default_factory=list)
    #: Captures whose row says something else than Kafka and the refunds.
    captures_wrong: list[str] = field(default_factory=list)
    #: Orders that were made to fail and whose agents could see it, without their refund; all when none got its refund.
    never_refunded: list[str] = field(default_factory=list)

    #: A quarantine that no committed decision of its agent made.
    quarantine_undecided: list[str] = field(default_factory=list)
    #: A row of a quarantine that no message tells of, or more than one.
    quarantine_untold: list[str] = field(default_factory=list)
    #: A message that tells of a quarantine there is no row of, or tells it differently.
    quarantine_invented: list[str] = field(default_factory=list)
    #: Repositories that were made to fail, without their quarantine.
    never_quarantined: list[str] = field(default_factory=list)

    #: How many messages are in Kafka more than once, all of them allowed unless they are above.
    repeats: int = 0
    #: How many orders that were made to fail got their refund.
    failures_refunded: int = 0
    #: What is wrong with the histories, and what refunds that were not made had to go by, one line each.
    details: list[str] = field(default_factory=list)

    def broken(self) -> dict[str, list[str]]:
        """What is not empty."""
        lists = {name: found for name, found in vars(self).items() if isinstance(found, list) and name != "details"}
        return {name: found for name, found in lists.items() if found}
