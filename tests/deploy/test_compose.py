"""The compose file: what the reference implementation of the specification takes, every container confined."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts import ROOT, run

from app.settings import Settings

FILE = ROOT / "docker-compose.yml"
#: What whoever starts it has to choose.
CHOSEN = ("API_TOKEN", "GRAFANA_PASSWORD")
#: Images of others that write where they are, and are confined otherwise.
WRITES_WHERE_IT_IS = {"kafka", "postgres"}


@pytest.fixture(scope="module")
def services() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    assert {"worker-1", "prometheus", "grafana"} <= found.keys()
    return found


def test_the_reference_implementation_takes_it() -> None:
    done = run("compose-go", "-no-interpolation", str(FILE))
    assert (done.returncode, done.stderr) == (0, "")


def test_it_does_not_start_without_secrets_of_ones_own() -> None:
    done = run("compose-go", str(FILE))
    assert done.returncode != 0
    assert [name for name in CHOSEN if f"required variable {name} is missing" not in done.stderr] == []


def test_every_container_is_confined_and_limited(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") is (None if name in WRITES_WHERE_IT_IS else True), name
        assert {"mem_limit", "pids_limit", "healthcheck"} - {
            "healthcheck" if "worker" in name else ""
        } <= service.keys()
        assert not {"privileged", "network_mode", "pid"} & service.keys(), name


def test_every_image_of_others_is_of_one_version_and_pinned_by_its_digest(services: Mapping[str, Any]) -> None:
    images = {service["image"] for service in services.values() if "build" not in service}
    assert {image for image in images if not re.search(r":v?\d[^@]*@sha256:[0-9a-f]{64}$", image)} == set()


def test_every_port_is_open_to_this_machine_alone(services: Mapping[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_whatever_is_mounted_of_the_checkout_is_there(services: Mapping[str, Any]) -> None:
    volumes = [volume for service in services.values() for volume in service.get("volumes", ())]
    mounted = [volume.partition(":")[0] for volume in volumes if volume.startswith("./")]
    assert len(mounted) == 3
    assert [path for path in mounted if not (ROOT / path).is_dir()] == []


def test_what_a_worker_is_told_is_what_it_takes(
    services: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in services["worker-1"]["environment"].items():
        monkeypatch.setenv(name, "chosen" if value.startswith("${") else value)
    settings = Settings()
    assert settings.access.is_guarded
    assert settings.migrate_at_start is False
    assert services["worker-1"]["stop_grace_period"] == "60s"
