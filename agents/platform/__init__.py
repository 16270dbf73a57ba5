"""Platform: the domain of what every team has: services, their errors and changes, and what is found about them.

`DOMAINS=agents.platform:platform` is a worker that knows nothing else.
"""

from agents.platform.domain import platform

__all__ = ["platform"]
