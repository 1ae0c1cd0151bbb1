"""What `docker/ray` gives to SLURM and to KubeRay: a script without a fault, a manifest of fields that there are."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml
from deployment_files import DOCKER, ROOT, checked, tool
from dockerfile_parse import DockerfileParser

from sim.cli.commands import run_command

BATCH = DOCKER / "ray" / "simulation.sbatch"
JOB = DOCKER / "ray" / "rayjob.yaml"
IMAGE = DOCKER / "ray" / "Dockerfile"
JOB_FIELDS = {
    "entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit",
    "submissionMode", "runtimeEnvYAML", "rayClusterSpec", "suspend", "metadata", "jobId", "entrypointNumCpus",
}  # fmt: skip
"""Of ray.io/v1 RayJobSpec (KubeRay's API reference)."""
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template", "serviceType"}


def ray_version() -> str:
    found = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found.group(1)


@pytest.fixture
def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    return found


def groups(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    yield cluster["headGroupSpec"]
    yield from cluster["workerGroupSpecs"]


def test_the_batch_script_has_no_fault() -> None:
    assert checked("bash", "-n", BATCH) == ""
    assert checked(tool("shellcheck"), "--enable=all", "--exclude=SC2250,SC2310,SC2311,SC2312", BATCH) == ""


def test_the_batch_script_wants_a_plan_and_a_folder() -> None:
    done = subprocess.run(["bash", BATCH], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage: sbatch" in done.stderr


def test_the_manifest_has_the_fields_of_a_ray_job(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"].keys() <= JOB_FIELDS
    assert job["spec"]["rayClusterSpec"].keys() <= {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    assert all(group.keys() <= GROUP_FIELDS for group in groups(job))


def test_every_pod_has_the_study_and_room_for_the_object_store(job: dict[str, Any]) -> None:
    for group in groups(job):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/study", "/dev/shm"}
        assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


def test_the_version_of_ray_is_the_pinned_one_everywhere(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray_version()
    with IMAGE.open("rb") as file:
        instructions = DockerfileParser(fileobj=file).structure
    (tag,) = (entry["value"] for entry in instructions if entry["value"].startswith("RAY_TAG="))
    assert tag.removeprefix("RAY_TAG=").partition("-")[0] == ray_version()


@pytest.mark.parametrize("path", [BATCH, JOB], ids=lambda path: path.name)
def test_what_is_started_is_a_command_of_the_simulation(path: Any) -> None:
    app = typer.Typer()
    app.command("run")(run_command)
    found = re.search(r"ceus-sim run (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    given = found.group(1).replace('"$@"', "--devices auto").replace("${out}", "/out")
    context = typer.main.get_command(app).make_context("run", shlex.split(given))
    assert context.params["link"] == "ray"
    assert context.params["ray_address"] == "auto"


def test_the_command_of_the_batch_script_is_one_of_the_pinned_ray() -> None:
    pytest.importorskip("ray")
    said = checked(sys.executable, "-m", "ray.scripts.scripts", "symmetric-run", "--help")
    assert "--address" in said
    assert "--min-nodes" in said
