"""A domain of builds: `DOMAINS=myci:ci faust -A app worker -l info`."""

from myci.domain import ci

__all__ = ["ci"]
