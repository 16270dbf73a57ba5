"""Testing: a domain decides in a test, without Kafka, PostgreSQL or a language model.

    def test_a_second_failure_after_success_is_flaky(domain: DomainFixture) -> None:
        ci = domain(my_domain)
        decision = ci.decide(flaky, BuildFailed(...), after=[BuildPassed(...), BuildFailed(...)])
        assert decision.outcome == "quarantine"

`domain` is a fixture of the pytest plugin; this is what it gives. Everything that reads, remembers and decides is the
worker's own; only the log is a list. No clock is read: events without a time happen a minute apart.
"""

from agents.model.errors import DecisionFailed
from agents.model.holding import HoldPolicy
from app.testing.decided import Consequence, Decided, Published
from app.testing.driver import DomainDriver, DomainFixture, NothingToDecide, Told
from app.testing.given import Given
from tables.event import InvalidEvent

__all__ = [
    "Consequence",
    "Decided",
    "DecisionFailed",
    "DomainDriver",
    "DomainFixture",
    "Given",
    "HoldPolicy",
    "InvalidEvent",
    "NothingToDecide",
    "Published",
    "Told",
]
