"""Image, compose and manifests: held to their own linters and schemas, and to what they say of each other."""

import json
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.deploy.places import DEPLOY, ROOT, told

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
KUBERNETES = DEPLOY / "kubernetes"
OLDEST, NEWEST = "1.29", "1.34"
"""Versions of Kubernetes for which the manifests are meant."""


def objects() -> dict[tuple[str, str], dict[str, Any]]:
    """All manifests by kind and name."""
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    found = [
        each for name in kustomization["resources"] for each in yaml.safe_load_all((KUBERNETES / name).read_text())
    ]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def test_dockerfile_is_clean() -> None:
    """hadolint finds nothing at all."""
    assert told("hadolint", DOCKERFILE) == ""


def test_the_image_has_what_the_package_needs(tmp_path: Path) -> None:
    """From the files that the Dockerfile copies alone, past .dockerignore, the package is built, with its pages."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    kept = re.findall(r"^!(\S+)$", (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert sorted(names) == sorted(kept)
    source = tmp_path / "src"
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    told(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source)
    (wheel,) = tmp_path.glob("waitroom-*.whl")
    listed = told(sys.executable, "-m", "zipfile", "-l", wheel)
    assert "waitroom/static/page.css" in listed
    assert "waitroom/store/library.lua" in listed


def test_commands_in_the_image_find_its_service() -> None:
    """What serve is started with is what the environment says to commands; the pod's arguments are the same."""
    text = DOCKERFILE.read_text()
    said = dict(re.findall(r"(WAITROOM_(?:CONFIG|DATA_DIR))=(\S+)", text))
    (words,) = (json.loads(line) for line in re.findall(r"^CMD (\[\"serve.*\])$", text, re.MULTILINE))
    assert words == ["serve", said["WAITROOM_CONFIG"], "--data-dir", said["WAITROOM_DATA_DIR"]]
    pod = objects()["Deployment", "waitroom"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == words
    unit = (DEPLOY / "systemd" / "waitroom.service").read_text()
    assert f"ExecStart=/opt/waitroom/bin/waitroom {' '.join(words)}\n" in unit
    exported = " ".join(f"{name}={value}" for name, value in said.items())
    assert f"`export {exported}`" in (DEPLOY / "README.md").read_text()


def test_compose_fits_its_schema_and_files() -> None:
    """The schema of the Compose specification; every file that is mounted is there; images are pinned."""
    told("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for name, service in services.items():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+[\w-]*", service["image"]), name
        for mounted in service.get("volumes", ()):
            if mounted.startswith("."):
                assert (COMPOSE.parent / mounted.partition(":")[0]).is_file(), mounted
    told("promtool", "check", "config", "--syntax-only", COMPOSE.parent / "prometheus.yml")
    settings = yaml.safe_load((COMPOSE.parent / "waitroom.yaml").read_text())
    assert settings["store"]["url"] == "redis://valkey:6379/0"
    assert "noeviction" in services["valkey"]["command"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_manifests_fit_their_schema(version: str) -> None:
    """Strictly: no field that Kubernetes does not know."""
    files = [KUBERNETES / name for name in ("waitroom.yml", "valkey.yml", "network.yml")]
    said = told("kubernetes-validate", "--strict", "--kubernetes-version", version, *files)
    assert said.count(" passed for resource ") == len([kind for kind, _ in objects() if kind != "ServiceMonitor"])


def monitor_faults(monitor: dict[str, Any]) -> list[str]:
    """What the Prometheus operator's own schema says against a ServiceMonitor; strictly, no field beside it."""
    operator = import_module("cloudcoil.models.prometheus_operator.v1")  # seconds, and one test needs it
    schema = operator.ServiceMonitor.model_json_schema(by_alias=True)
    for part in (schema, *schema["$defs"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
    found = Draft202012Validator(schema).iter_errors(monitor)
    return ["/".join(map(str, each.absolute_path)) for each in found]


def test_the_monitor_fits_its_schema() -> None:
    """The schema would tell: an unknown field, a time without its unit, a selector that is none."""
    monitor = objects()["ServiceMonitor", "waitroom"]
    assert monitor_faults(monitor) == []
    wrong = json.loads(json.dumps(monitor))
    wrong["spec"]["endpoints"][0] |= {"intervall": "10s", "interval": "10 seconds"}
    wrong["spec"]["selector"] = "waitroom"
    assert set(monitor_faults(wrong)) == {"spec/endpoints/0", "spec/endpoints/0/interval", "spec/selector"}


def test_pods_have_no_rights() -> None:
    """Not root, a root file system that is read-only, no capability, no token of the cluster's."""
    for kind, name in (("Deployment", "waitroom"), ("StatefulSet", "waitroom-valkey")):
        pod = objects()[kind, name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        (container,) = pod["containers"]
        held = container["securityContext"]
        assert (held["readOnlyRootFilesystem"], held["allowPrivilegeEscalation"]) == (True, False)
        assert held["capabilities"] == {"drop": ["ALL"]}
    user = objects()["Deployment", "waitroom"]["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert f"USER {user}:" in DOCKERFILE.read_text()


def test_a_pod_that_ends_has_the_time_to_drain() -> None:
    """preStop and the longest drain of the settings fit into the grace period."""
    spec = objects()["Deployment", "waitroom"]["spec"]["template"]["spec"]
    settings = yaml.safe_load((KUBERNETES / "waitroom.yaml").read_text())
    drains = [int(text.removesuffix("s")) for text in settings["timeouts"].values()]
    wait = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert wait + max(drains) < spec["terminationGracePeriodSeconds"]
    assert settings["workers"] == int(spec["containers"][0]["resources"]["limits"]["cpu"])


def test_manifests_find_each_other() -> None:
    """Selectors, ports, the scraped service and the job's name that the alerts ask for."""
    found = objects()
    labels = found["Deployment", "waitroom"]["spec"]["template"]["metadata"]["labels"]
    for service in ("waitroom", "waitroom-admin"):
        assert found["Service", service]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget", "waitroom"]["spec"]["selector"]["matchLabels"] == labels
    monitor = found["ServiceMonitor", "waitroom"]["spec"]
    admin = found["Service", "waitroom-admin"]
    assert monitor["selector"]["matchLabels"] == admin["metadata"]["labels"]
    assert [each["port"] for each in monitor["endpoints"]] == [each["name"] for each in admin["spec"]["ports"]]
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    (pair,) = (label["pairs"] for label in kustomization["labels"])
    assert pair == {monitor["jobLabel"]: "waitroom"}
