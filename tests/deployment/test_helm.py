"""The chart: linted and rendered by Helm itself, its objects held against Kubernetes' own schemas."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment_files import CHART, checked, refused, rendered, tool

pytestmark = pytest.mark.helm
CLAIM = {"storage": {"existingClaim": "old"}}


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    return rendered()


@pytest.fixture
def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


def places(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["mountPath"]: mount for mount in container["volumeMounts"]}


def test_helm_lint_finds_no_fault() -> None:
    program = "import helm_python, json, sys; print(json.dumps(helm_python.lint(sys.argv[1], strict=True)))"
    said = json.loads(checked(sys.executable, "-c", program, CHART))
    assert said["total_charts_linted"] == 1
    assert said["errors"] == []
    assert [message for message in said["messages"] if message["severity"] > 1] == []  # 1: an icon is recommended


def test_every_object_is_what_kubernetes_takes(objects: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert set(objects) == {"Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"}
    path = tmp_path / "objects.yaml"
    path.write_text(yaml.safe_dump_all(objects.values()), encoding="utf-8")
    for version in ("1.25.0", "1.37.0"):  # the oldest that Chart.yaml names, and the newest that is known
        checked(tool("kubernetes-validate"), "--strict", "-k", version, path)


def test_one_pod_writes_at_a_time(objects: dict[str, dict[str, Any]]) -> None:
    spec = objects["Deployment"]["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert objects["PersistentVolumeClaim"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_every_container_is_locked_down(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10003  # the user of the image
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        assert not container["image"].endswith(":latest")


def test_each_long_lived_container_is_probed(pod: dict[str, Any]) -> None:
    coordinator, front = pod["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert coordinator[probe]["exec"]["command"] == ["ceus-coordinator", "health", "/study"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert front[probe]["tcpSocket"] == {"port": "fleet"}


def test_secrets_are_mounted_to_read_and_the_key_of_the_ca_is_not_there(pod: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["ca"]["secret"]["items"] == [{"key": "ca.pem", "path": "ca.pem"}]
    coordinator, front = (places(container) for container in pod["containers"])
    for place in ("/study/tls", "/study/ca", "/study/secrets", "/config"):
        assert coordinator[place]["readOnly"] is True
    assert not front.keys() & {"/study", "/study/secrets"}
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(CHART.rglob("*.*")))
    assert "kind: Secret" not in text  # no key passes through values


def test_each_study_has_a_config_map_and_a_folder() -> None:
    pod = rendered({"studies": {"Liver-2": "ceus-study-liver", "tiny": "ceus-study-tiny"}})["Deployment"]["spec"]
    spec = pod["template"]["spec"]
    maps = {
        volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "ceus-study-" in volume["name"]
    }
    assert maps == {"ceus-study-liver": "ceus-study-liver", "ceus-study-tiny": "ceus-study-tiny"}
    for container in (spec["initContainers"][0], spec["containers"][0]):
        assert places(container)["/config-studies/Liver-2"] == {
            "name": "ceus-study-liver",
            "mountPath": "/config-studies/Liver-2",
            "readOnly": True,
        }
    assert spec["initContainers"][0]["command"][-2:] == ["Liver-2", "tiny"]


def test_the_network_lets_in_the_front_door_and_nothing_out(objects: dict[str, dict[str, Any]]) -> None:
    spec = objects["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": 443, "protocol": "TCP"}]}]
    assert spec["egress"] == []
    assert [port["targetPort"] for port in objects["Service"]["spec"]["ports"]] == ["fleet"]
    selected = objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert spec["podSelector"]["matchLabels"].items() <= selected
    assert objects["Service"]["spec"]["selector"].items() <= selected


def test_values_take_effect() -> None:
    digest = "sha256:" + "0" * 64
    found = rendered(
        {**CLAIM, "image": {"digest": digest}, "front": {"port": 8443}, "networkPolicy": {"enabled": False}}
    )
    assert set(found) == {"Deployment", "Service"}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"fedceus-coordinator:0.1.0@{digest}"
    assert pod["containers"][1]["ports"][0]["containerPort"] == 8443
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "old"}
    ranges = rendered({"networkPolicy": {"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}})
    assert ranges["NetworkPolicy"]["spec"]["ingress"][0]["from"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"tag": "latest"}},
        {"image": {"digest": "sha256:abc"}},
        {"front": {"port": 0}},
        {"replicas": 2},
        {"existing": {"tls": "Not A Name"}},
        {"studies": {"../run": "ceus-study-x"}},
        {"service": {"type": "ExternalName"}},
        {"resources": {"limits": {"cpu": 4, "memory": "1Gi"}}},
    ],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    assert refused(values)
