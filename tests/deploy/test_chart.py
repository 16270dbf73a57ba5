"""The Helm chart: what it makes is what Kubernetes, its policies and a worker take, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from charts import (
    CHART,
    RENDERED,
    SCHEMAS,
    Manifest,
    complaints,
    environment,
    kept,
    manifests,
    of_kind,
    pods,
    render,
    run,
)

from app.settings import Settings
from app.worker.stopping import drain_seconds, stop_seconds

#: Checks of kube-score that are not ours: services without a selector of their own pods and the like are judged, but a
#: limit of CPU throttles heartbeats, images are pulled once for each tag, and temporary files need no limit of storage.
NOT_OURS = ("container-image-pull-policy", "container-ephemeral-storage-request-and-limit")


@pytest.mark.parametrize("name", RENDERED)
def test_the_kept_manifests_are_what_the_chart_makes(name: str) -> None:
    done = render(*RENDERED[name])
    assert (done.returncode, complaints(done)) == (0, [])
    assert kept(name).read_text(encoding="utf-8") == done.stdout, "run `make manifests`"


@pytest.mark.parametrize("name", RENDERED)
def test_helm_finds_nothing_to_say_about_the_chart(name: str) -> None:
    done = run("helm", "lint", "--strict", str(CHART), *RENDERED[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RENDERED)
def test_every_manifest_has_the_fields_of_its_kind_and_no_others(name: str) -> None:
    done = judged_by_schemas(render(*RENDERED[name]).stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("podManagementPolicy", "podManagementPolcy"), ("cooldownPeriod", "cooldownperiod"), ("port: http", "prt: http")],
)
def test_a_field_that_does_not_exist_is_found(right: str, wrong: str) -> None:
    rendered = render(*RENDERED["apart"]).stdout
    assert right in rendered
    assert judged_by_schemas(rendered.replace(right, wrong)).returncode == 1


@pytest.mark.parametrize("name", RENDERED)
def test_no_policy_is_broken(name: str) -> None:
    ignored = [f"--ignore-test={check}" for check in NOT_OURS]
    done = run(
        "kube-score", "score", "--ignore-container-cpu-limit", *ignored, "-", given=render(*RENDERED[name]).stdout
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RENDERED)
def test_every_pod_is_restricted_as_pod_security_standards_say(name: str) -> None:
    templates = pods(manifests(*RENDERED[name]))
    assert len(templates) >= 3
    for pod in (template["spec"] for template in templates.values()):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for volume in pod["volumes"]:
            assert {"emptyDir", "secret", "configMap"} & volume.keys()
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"mountPath": "/tmp", "name": "tmp"} in container["volumeMounts"]


@pytest.mark.parametrize("name", RENDERED)
def test_what_a_worker_is_told_is_what_it_takes(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups = set()
    for workers in of_kind("StatefulSet", manifests(*RENDERED[name])):
        settings = settings_of(workers["spec"]["template"], monkeypatch, tmp_path)
        groups.add(f"innervate-{settings.agent_set}")
        assert settings.datadir == Path("/data")
        assert settings.migrate_at_start is False
        assert settings.access.is_guarded
    scaled = of_kind("ScaledObject", manifests(*RENDERED[name]))
    asked = {trigger["metadata"]["consumerGroup"] for each in scaled for trigger in each["spec"]["triggers"]}
    assert asked - {"innervate-router"} <= groups


def test_who_routes_is_scaled_by_what_waits_to_be_routed_and_who_decides_by_what_waits_for_it() -> None:
    values = ["sets[0].name=routers", "sets[0].router=alone", "sets[1].name=all", "sets[1].router=none"]
    values += [f"sets[{number}].scaling.enabled=true" for number in range(2)]
    found = manifests(*(argument for value in values for argument in ("--set", value)))
    scaled = of_kind("ScaledObject", found)
    assert [[each["metadata"]["consumerGroup"] for each in one["spec"]["triggers"]] for one in scaled] == [
        ["innervate-router"],
        ["innervate-all"],
    ]
    told = [environment(each["spec"]["template"])["ROUTER"] for each in of_kind("StatefulSet", found)]
    assert told == ["alone", "none"]


def settings_of(pod: Manifest, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Settings:
    """What the worker of a pod makes of its environment; raises what stops its start."""
    (folder / "ca.crt").touch()
    from_elsewhere = {
        "DATABASE_URL": "postgresql://db/innervate",
        "API_TOKENS": f"anna:read:{'0' * 64}",
        "KAFKA_GROUP_INSTANCE_ID": "innervate-all-0",
        "KAFKA_SECURITY_PASSWORD": "of a secret",
    }
    with monkeypatch.context() as patched:
        patched.chdir(folder)
        for name, value in environment(pod).items():
            told = value if isinstance(value, str) else from_elsewhere[name]
            patched.setenv(name, str(folder / "ca.crt") if name.endswith("CAFILE") else told)
        return Settings()


@pytest.mark.parametrize("deadline", ["0.5", "10", "20", "60", "300"])
def test_a_worker_is_given_longer_to_stop_than_it_may_take(deadline: str) -> None:
    found = manifests("--set-string", f"settings.LLM_DEADLINE_SECONDS={deadline}")
    [workers] = of_kind("StatefulSet", found)
    grace = workers["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert stop_seconds(float(deadline)) + 10 <= grace < stop_seconds(float(deadline)) + 12
    assert drain_seconds(float(deadline)) >= float(deadline) + 10


def test_a_set_that_grows_has_a_worker_for_each_partition_at_most_and_waits_before_it_shrinks() -> None:
    found = manifests(*RENDERED["apart"])
    [scaled] = of_kind("ScaledObject", found)
    [growing] = [each for each in of_kind("StatefulSet", found) if "replicas" not in each["spec"]]
    behaviour = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert scaled["spec"]["scaleTargetRef"]["name"] == growing["metadata"]["name"] == "innervate-fraud"
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == (2, 12)
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == scaled["spec"]["cooldownPeriod"] == 300


def test_services_budgets_and_the_network_policy_choose_the_pods_they_are_for() -> None:
    found = manifests(*RENDERED["apart"])
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(found).items()}
    workers = {"innervate-fraud", "innervate-others", "innervate-routers"}
    for service in of_kind("Service", found):
        assert chosen(service["spec"]["selector"], labels) == workers
    for budget in of_kind("PodDisruptionBudget", found):
        assert chosen(budget["spec"]["selector"]["matchLabels"], labels) == {budget["metadata"]["name"]}
    for workload in of_kind("StatefulSet", found):
        assert chosen(workload["spec"]["selector"]["matchLabels"], labels) == {workload["metadata"]["name"]}
    [policy] = of_kind("NetworkPolicy", found)
    assert chosen(policy["spec"]["podSelector"]["matchLabels"], labels) == set(labels)


def test_traces_reach_their_collector_where_one_is_set_and_no_port_is_open_for_them_elsewhere() -> None:
    def ports(*arguments: str) -> set[int]:
        [policy] = of_kind("NetworkPolicy", manifests(*arguments))
        return {port["port"] for each in policy["spec"]["egress"] for port in each["ports"]}

    endpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    without = {53, 5432, 6066, 9092}
    assert ports() == without
    assert ports("--set", f"settings.{endpoint}=http://collector:4318/v1/traces") == without | {4318}
    told = ("--set", f"secrets.{endpoint}.name=traces", "--set", f"secrets.{endpoint}.key=url")
    assert ports(*told, "--set", "networkPolicy.collector.ports={4320}") == without | {4320}


def chosen(selector: Mapping[str, str], labels: Mapping[str, Mapping[str, str]]) -> set[str]:
    return {name for name, own in labels.items() if selector.items() <= own.items()}


def test_before_a_release_the_schema_is_migrated_and_then_every_set_gets_its_topics() -> None:
    jobs = of_kind("Job", manifests(*RENDERED["apart"]))
    ordered = sorted(jobs, key=lambda job: int(job["metadata"]["annotations"]["helm.sh/hook-weight"]))
    args = [container["args"] for job in ordered for container in job["spec"]["template"]["spec"]["containers"]]
    assert args == [["migrate"], ["topics"], ["topics"], ["topics"]]
    assert {job["metadata"]["annotations"]["helm.sh/hook"] for job in jobs} == {"pre-install,pre-upgrade"}
    owner = environment(ordered[0]["spec"]["template"])["DATABASE_URL"]
    assert owner == {"secretKeyRef": {"name": "innervate-database-owner", "key": "url"}}


def test_no_setting_that_holds_a_secret_can_be_a_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    refused = set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"])
    secret = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {"API_TOKEN", "LLM_API_KEY"} <= secret
    assert secret | {"API_TOKENS", "DATABASE_URL"} <= refused


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["settings.DATABASE_URL=postgresql://u:secret@db/x"], "DATABASE_URL"),
        (["settings.API_TOKEN=secret"], "API_TOKEN"),
        (["settings.KAFKA_SECURITY_PASSWORD=secret"], "KAFKA_SECURITY_PASSWORD"),
        (["settings.LLM_API_KEY=secret"], "LLM_API_KEY"),
        (["settings.AGENTS=fraud"], "AGENTS"),
        (["settings.WEB_BIND=127.0.0.1"], "WEB_BIND"),
        (["secrets.DATABASE_URL=postgresql://db/x"], "DATABASE_URL"),
        (["image.tag=latest"], "tag"),
        (["image.digest=sha256:abc"], "digest"),
        (["sets[0].name=Fraud"], "name"),
        (["worker.replcias=3"], "replcias"),
        (["worker.resources.limits=null"], "limits"),
        (["sets[0].name=all", "sets[0].scaling.enabled=true", "sets[0].scaling.max=9"], "TOPIC_PARTITIONS"),
        (["sets[0].name=all", "sets[0].replicas=9"], "TOPIC_PARTITIONS"),
        (["settings.ROUTER=none"], "ROUTER"),
        (["sets[0].name=all", "sets[0].router=none"], "nobody routes"),
        (["sets[0].name=all", "sets[0].router=alone", "sets[0].agents[0]=fraud"], "runs no agents"),
        (["sets[0].name=all", "sets[0].router=apart"], "router"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values: list[str], named: str) -> None:
    done = render(*(argument for value in values for argument in ("--set", value)))
    assert done.returncode != 0
    assert named in done.stderr


def judged_by_schemas(rendered: str) -> subprocess.CompletedProcess[str]:
    return run("kubeconform", "-strict", "-summary", "-schema-location", SCHEMAS, "-", given=rendered)
