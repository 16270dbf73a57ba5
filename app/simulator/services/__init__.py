"""Services: a graph of services that call each other, with faults at random places whose cause is known.

    fault = case(seed=7, kind="deployment", missing=0.1)

`fault.events` is what a team's monitors, traces and pipelines tell, in the order it happened; `fault.answers` is who is
behind each alarm, by the simulator's own books. It shares nothing with the agents and knows their events by description
alone. The same seed and kind are the same case, byte for byte.
"""

from app.simulator.services.cases import KINDS, Answer, Case, Ended, Kind, case
from app.simulator.services.sending import faults_until_now, records_of

__all__ = ["KINDS", "Answer", "Case", "Ended", "Kind", "case", "faults_until_now", "records_of"]
