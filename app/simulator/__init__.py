"""Simulator: the story of a shop, with failures whose cause is known. The same for the same seed, byte for byte.

    simulation = simulate(seed=7, orders=500, failures=100, start=datetime(2024, 5, 1, tzinfo=UTC))

It is a producer written by somebody else: it knows the events by their description alone and shares nothing with the
agents. Its failures never have two explanations, but the text of an error may lie, and harmless events of the same
types surround each culprit. It fails with ValueError when there are too few orders for the failures.
"""

from app.simulator.records import Produced
from app.simulator.schedule import simulate, simulated_until_now
from app.simulator.truth import WAVE, Capture, Case, Moment, Outcome, Plan, Simulation, Truth, plan_for

__all__ = [
    "WAVE",
    "Capture",
    "Case",
    "Moment",
    "Outcome",
    "Plan",
    "Produced",
    "Simulation",
    "Truth",
    "plan_for",
    "simulate",
    "simulated_until_now",
]
