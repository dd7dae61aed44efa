"""A cluster as objects of Kubernetes: one Indexed Job a kind of task, and what joins them.

Every cluster runs Jobs as it is, while JobSet and the training operators must be installed first. An Indexed
Job gives its pods names that stay and their index, which is all that TF_CONFIG needs: nothing of ours runs in
the cluster but the tasks. Exit codes say which failures are tried again (``podFailurePolicy``, part of
Kubernetes since 1.31).
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any

from expcore.errors import (
    EXIT_CANNOT_WRITE,
    EXIT_CORRUPT,
    EXIT_PEER_LOST,
    EXIT_SOFTWARE,
    EXIT_USAGE,
    InvalidArgument,
)
from expcore.launch.shape import Shape

_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_CLAIM = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_WORD = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:\d))(?::\d+)?/"
_IMAGE = re.compile(
    rf"(?:{_HOST})?{_WORD}(?:/{_WORD})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9]+:[0-9a-f]{{32,}})?", re.A
)
_LONGEST_CLAIM = 253
_LONGEST_VARIABLE = 131_071 - len("TF_CONFIG=")  # bytes that Linux takes in one, with its name and an end
_MOST = 40  # characters of a name; the longest that is made of it has "-evaluator-" and an index more
_RUN = "expcore.run"
_MOUNT = "/runs"
_GRACE_SECS = 120  # to save the state in


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What Kubernetes has to know besides the shape.

    Args:
        name: of the run: lower-case letters, digits and "-", at most 40.
        file: the FILE of ``expcore run`` in the image.
        image: has Python, expcore, the experiment, and what it imports.
        claim: name of a PersistentVolumeClaim that all pods can mount at once (ReadWriteMany), at ``/runs``.
        output_dir: the model directory; below ``/runs``.
        port: on which the tasks' servers listen.
        gpus: of each training task.
        restarts: failures of each kind of task after which its Job fails; losses of peers and disruptions
            do not count.

    Raises:
        InvalidArgument: the name, the claim, the file or the image cannot be one, or the directory is not
            below the mount.
    """

    name: str
    file: str
    image: str
    claim: str
    output_dir: str
    port: int = 2222
    gpus: int = 0
    restarts: int = 10

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > _MOST:
            raise InvalidArgument(
                f"name {self.name!r}: it must be of lower-case letters, digits and '-', begin with a letter "
                f"and have at most {_MOST} characters; give --name"
            )
        if not _CLAIM.fullmatch(self.claim) or len(self.claim) > _LONGEST_CLAIM:
            raise InvalidArgument(
                f"claim {self.claim!r}: it must be of words of lower-case letters, digits and '-', with "
                "'.' between them, as names are in Kubernetes; give --claim"
            )
        if not _IMAGE.fullmatch(self.image):
            raise InvalidArgument(
                f"image {self.image!r}: it must be a name as registry/name:tag, in lower case; give --image"
            )
        if self.file.startswith("-") or not self.file.isprintable():
            raise InvalidArgument(
                f"file {self.file!r}: it must not begin with '-', which is an option's, and have no control "
                "characters; name it as the image has it"
            )
        if (
            not posixpath.normpath(self.output_dir).startswith(f"{_MOUNT}/")
            or not self.output_dir.isprintable()
        ):
            raise InvalidArgument(
                f"output directory {self.output_dir!r}: it must be below {_MOUNT}, where the claim is mounted"
            )


def objects(shape: Shape, deployment: Deployment) -> list[dict[str, Any]]:
    """Returns the objects: a Service for names, a NetworkPolicy for the ports, and the Jobs.

    Raises:
        InvalidArgument: TF_CONFIG would be longer than a variable can be, or tasks that make each step
            together would have several devices each.
    """
    if shape.synchronous and deployment.gpus > 1:
        raise InvalidArgument(
            f"gpus {deployment.gpus}: tasks that make each step together use one device each; give --gpus 1 "
            "and more --workers"
        )
    kinds = {"chief": 1, "worker": shape.workers, "ps": shape.ps, "evaluator": shape.evaluators}
    numbers = {kind: number for kind, number in kinds.items() if number}
    cluster = {
        kind: [_address(deployment, kind, i) for i in range(number)]
        for kind, number in numbers.items()
        if kind != "evaluator"
    }
    # Where there is an evaluator, the chief need not evaluate as well.
    options = {"chief": ["--schedule", "train"]} if shape.evaluators else {}
    jobs = [
        _job(deployment, kind, number, _pod(deployment, kind, cluster, options.get(kind, [])))
        for kind, number in numbers.items()
    ]
    return [_service(deployment), _policy(deployment), *jobs]


def _address(deployment: Deployment, kind: str, index: int) -> str:
    name = deployment.name
    return f"{name}-{kind}-{index}.{name}:{deployment.port}"


def _meta(deployment: Deployment, name: str) -> dict[str, Any]:
    return {"name": name, "labels": {_RUN: deployment.name}}


def _service(deployment: Deployment) -> dict[str, Any]:
    """A headless one: it gives each pod a name, also before it is ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(deployment, deployment.name),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {_RUN: deployment.name},
            "ports": [{"name": "grpc", "port": deployment.port}],
        },
    }


def _policy(deployment: Deployment) -> dict[str, Any]:
    """TensorFlow's servers obey whoever reaches them: only the pods of the run do."""
    ours = {"matchLabels": {_RUN: deployment.name}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(deployment, deployment.name),
        "spec": {
            "podSelector": ours,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": ours}]}],
        },
    }


def _job(deployment: Deployment, kind: str, number: int, pod: dict[str, Any]) -> dict[str, Any]:
    name = f"{deployment.name}-{kind}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta(deployment, name),
        "spec": {
            "completionMode": "Indexed",
            "completions": number,
            "parallelism": number,
            "backoffLimit": deployment.restarts,
            "podFailurePolicy": {"rules": _rules()},
            "template": {
                "metadata": {"labels": {_RUN: deployment.name}},
                "spec": pod,
            },
        },
    }


def _rules() -> list[dict[str, Any]]:
    def on(action: str, *codes: int) -> dict[str, Any]:
        return {
            "action": action,
            "onExitCodes": {"containerName": "expcore", "operator": "In", "values": sorted(codes)},
        }

    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        on("Ignore", EXIT_PEER_LOST),
        on("FailJob", EXIT_USAGE, EXIT_CORRUPT, EXIT_SOFTWARE, EXIT_CANNOT_WRITE),
    ]


def _pod(deployment: Deployment, kind: str, cluster: dict[str, Any], options: list[str]) -> dict[str, Any]:
    # Kubernetes puts the index in; JSON has no way to stand for a number that is not known yet.
    config = json.dumps({"cluster": cluster, "task": {"type": kind, "index": "INDEX"}})
    if len(config) > _LONGEST_VARIABLE:
        raise InvalidArgument(
            f"TF_CONFIG of {sum(map(len, cluster.values()))} tasks has {len(config):,} characters, and Linux "
            f"takes {_LONGEST_VARIABLE:,} in a variable; give fewer --workers, or a shorter --name"
        )
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    words = ["expcore", "run", deployment.file, "--output-dir", deployment.output_dir, *options]
    container: dict[str, Any] = {
        "name": "expcore",
        "image": deployment.image,
        "command": [_plain(word) for word in words],
        "env": [
            {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
            {"name": "TF_CONFIG", "value": config.replace('"INDEX"', "$(INDEX)")},
        ],
        "volumeMounts": [{"name": "runs", "mountPath": _MOUNT}],
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    if kind != "evaluator":
        container["ports"] = [{"name": "grpc", "containerPort": deployment.port}]
    if deployment.gpus and kind in ("chief", "worker"):
        container["resources"] = {"limits": {"nvidia.com/gpu": deployment.gpus}}
    return {
        "restartPolicy": "Never",
        "subdomain": deployment.name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": _GRACE_SECS,
        "containers": [container],
        "volumes": [{"name": "runs", "persistentVolumeClaim": {"claimName": deployment.claim}}],
    }


def _plain(word: str) -> str:
    """A word in which Kubernetes puts no variable in."""
    return word.replace("$(", "$$(")
