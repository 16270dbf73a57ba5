"""Prometheus as operators run it, with our rules, quicker: it scrapes every two seconds, and evaluates every one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from app.sandbox.process import Service
from app.sandbox.worker_process import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
RULES = DEPLOY / "prometheus" / "rules" / "innervate.yml"

Alert = Mapping[str, Any]


def programs() -> tuple[str, str]:
    """Prometheus and promtool."""
    found = subprocess.run(
        [CHECKOUT / ".ci" / "prometheus"], check=True, capture_output=True, text=True, env=dict(os.environ)
    )
    prometheus = Path(found.stdout.strip())
    return str(prometheus), str(prometheus.with_name("promtool"))


class Prometheus(Service):
    """Scrapes one target; nobody waits for longer than a second before an alert fires."""

    name: ClassVar[str] = "prometheus"

    def __init__(self, directory: Path, target: str) -> None:
        super().__init__(directory)
        self._target = target

    def prepare(self) -> None:
        """Write the rules with `for` cut short, and a configuration like the one that ships."""
        rules, count = re.subn(r"^( +for:) \w+$", r"\1 1s", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert count > 20
        (self.directory / "rules.yml").write_text(rules, encoding="utf-8")
        # JSON is YAML.
        scrape = {"job_name": "innervate", "static_configs": [{"targets": [self._target]}]}
        configuration = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [scrape],
        }
        (self.directory / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")

    def command(self) -> list[str]:
        """Listen on loopback, and keep everything in the directory."""
        return [
            programs()[0],
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
        ]

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def firing(self) -> Mapping[str, Sequence[Alert]]:
        """The alerts that fire now, by name: one of a name for each thing that is wrong."""
        found: dict[str, list[Alert]] = {}
        for alert in self._asked("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def failed_rules(self) -> Sequence[str]:
        """The rules whose expressions could not be evaluated."""
        groups = self._asked("rules")["groups"]
        return [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]

    def values(self, query: str) -> Sequence[float]:
        """The numbers a query gives now."""
        found = self._asked(f"query?query={urllib.parse.quote(query)}")["result"]
        return [float(each["value"][1]) for each in found]

    def _asked(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{what}", timeout=30) as response:
            return json.load(response)["data"]
