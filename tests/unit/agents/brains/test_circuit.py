"""When a server is left alone, and when it is asked again; by a clock of the test's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from agents.brains.circuit import Circuit
from agents.model.errors import BrainUnavailable, Unavailable


class Clock:
    """Stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    """Opens after two failures in a row, for ten seconds."""
    return Circuit(failures=2, open_seconds=10, clock=clock)


def ask(circuit: Circuit, failing: Unavailable | None = None) -> None:
    """One request that ends at once."""
    with suppress(BrainUnavailable), circuit.passage():
        if failing is not None:
            raise BrainUnavailable(failing, "told to")


def test_it_opens_after_so_many_failures_in_a_row(circuit: Circuit) -> None:
    ask(circuit, Unavailable.TIMEOUT)
    ask(circuit)
    ask(circuit, Unavailable.TIMEOUT)
    assert circuit.lets_through

    ask(circuit, Unavailable.SERVER_ERROR)

    with pytest.raises(BrainUnavailable, match="failed too often") as refused:
        circuit.check()
    assert refused.value.reason is Unavailable.CIRCUIT_OPEN


def test_what_is_not_the_server_s_fault_is_no_failure_and_ends_the_row(circuit: Circuit) -> None:
    for reason in (Unavailable.TIMEOUT, Unavailable.BUSY, Unavailable.TIMEOUT, Unavailable.BUSY):
        ask(circuit, reason)

    assert circuit.lets_through


def test_when_its_time_is_over_one_request_goes_out_and_no_second_one_beside_it(circuit: Circuit, clock: Clock) -> None:
    ask(circuit, Unavailable.TIMEOUT)
    ask(circuit, Unavailable.TIMEOUT)

    clock.now = 1009.9
    assert not circuit.lets_through
    clock.now = 1010.0
    with circuit.passage():
        assert not circuit.lets_through
    assert circuit.lets_through

    ask(circuit, Unavailable.TIMEOUT)
    assert circuit.lets_through  # closed again, it counts from nothing


def test_a_probe_that_fails_opens_it_for_the_same_time_again(circuit: Circuit, clock: Clock) -> None:
    ask(circuit, Unavailable.TIMEOUT)
    ask(circuit, Unavailable.TIMEOUT)
    clock.now = 1025.0
    ask(circuit, Unavailable.TIMEOUT)

    clock.now = 1034.9
    assert not circuit.lets_through
    clock.now = 1035.0
    assert circuit.lets_through


def test_a_request_from_before_it_opened_neither_closes_it_nor_makes_it_longer(circuit: Circuit, clock: Clock) -> None:
    with suppress(BrainUnavailable), circuit.passage():
        with circuit.passage():
            ask(circuit, Unavailable.TIMEOUT)
            ask(circuit, Unavailable.TIMEOUT)
            clock.now = 1005.0
        assert not circuit.lets_through
        raise BrainUnavailable(Unavailable.TIMEOUT, "told to")

    clock.now = 1010.0
    assert circuit.lets_through


def test_a_cancelled_request_says_nothing_and_makes_room_for_the_next_probe(circuit: Circuit, clock: Clock) -> None:
    ask(circuit, Unavailable.TIMEOUT)
    ask(circuit, Unavailable.TIMEOUT)
    clock.now = 1010.0

    with suppress(asyncio.CancelledError), circuit.passage():
        raise asyncio.CancelledError

    assert circuit.lets_through
    ask(circuit, Unavailable.TIMEOUT)
    assert not circuit.lets_through


@pytest.mark.parametrize(("failures", "open_seconds"), [(0, 1), (-1, 1), (1, 0), (1, -0.1)])
def test_a_circuit_that_could_never_open_or_never_stay_open_is_none(failures: int, open_seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one failure"):
        Circuit(failures=failures, open_seconds=open_seconds)
