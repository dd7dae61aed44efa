"""The shape of a cluster: how many tasks of each kind, and what each is told in TF_CONFIG."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from expcore.errors import InvalidArgument

HOST = "127.0.0.1"


@dataclass(frozen=True, order=True)
class Task:
    """One process of a cluster: its kind, and its index among those of its kind."""

    kind: str
    index: int

    @property
    def name(self) -> str:
        """What it is called in logs."""
        return f"{self.kind}-{self.index}"


@dataclass(frozen=True)
class Shape:
    """How many tasks of each kind there are besides the chief, of which there is one.

    Args:
        workers: processes that train with the chief, 0 or more.
        ps: parameter servers, 0 or more; with them there must be a worker.
        evaluators: processes that evaluate beside the training, 0 or more.

    Raises:
        InvalidArgument: a number is negative, or there are parameter servers and no worker.
    """

    workers: int = 0
    ps: int = 0
    evaluators: int = 0

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if number < 0:
                raise InvalidArgument(f"a cluster of {number} {name}: it must be 0 or more")
        if self.ps and not self.workers:
            raise InvalidArgument(
                f"a cluster of {self.ps} ps and no worker: parameter servers serve workers, give --workers"
            )

    @property
    def tasks(self) -> list[Task]:
        """Every task, in the order in which they are started: servers first, since others wait for them."""
        numbers = (("ps", self.ps), ("worker", self.workers), ("chief", 1), ("evaluator", self.evaluators))
        return [Task(kind, i) for kind, number in numbers for i in range(number)]

    @property
    def synchronous(self) -> bool:
        """Whether all training tasks make each step together."""
        return self.workers > 0 and not self.ps

    def tf_configs(self) -> dict[Task, str]:
        """Returns TF_CONFIG of every task, with ports that are free now."""
        inside = [task for task in self.tasks if task.kind != "evaluator"]
        ports = dict(zip(inside, free_ports(len(inside)), strict=True))
        cluster: dict[str, list[str]] = {}
        for task in inside:
            cluster.setdefault(task.kind, []).append(f"{HOST}:{ports[task]}")
        return {
            task: json.dumps({"cluster": cluster, "task": {"type": task.kind, "index": task.index}})
            for task in self.tasks
        }


def free_ports(n: int) -> list[int]:
    """Returns ports on which nobody listens now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
