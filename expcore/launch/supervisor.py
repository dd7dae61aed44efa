"""The supervisor of a cluster: names the first failure, restarts, and leaves no process behind."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from expcore.errors import EXIT_PEER_LOST, EXIT_UNAVAILABLE
from expcore.launch.guard import Guard
from expcore.launch.process import Process
from expcore.launch.shape import Shape, Task
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

_LOOK_SECS = 0.1
_LOST_SECS = 20.0  # for a task that was asked to end since another has failed
_CAUSE_SECS = 5.0  # in which the one that others have lost is seen to have ended
_SAVE_SECS = 60.0  # for a task that was asked to end to save its state


class Ended(NamedTuple):
    """A task that has ended, and its exit code."""

    task: Task
    code: int


def _again(ended: Ended) -> bool:
    """Whether trying again may mend it: a signal ended it, or it lost or could not reach a peer."""
    return ended.code >= 128 or ended.code == EXIT_UNAVAILABLE


class Supervisor:
    """Runs a cluster until it is done or has failed for good.

    A task that a signal ended, that lost a peer (exit codes of 128 and above) or could not reach one (69) is
    restarted as long as there are restarts: an evaluator, and a worker of parameter servers, alone; any other
    task of the training with all others of it, which go on from the last checkpoint. Other failures are not
    mended by trying again: then, and where no restart is left, the rest is asked to end (SIGTERM), and ended
    after 20 seconds.

    Args:
        shape: the cluster.
        command: returns the command of a task.
        logs: the folder of the log files, ``<kind>-<index>.log``; made if need be.
        restarts: how often tasks are started again, all together.
        clock: gives time.
        say: is given the name of a task and a line of its output.
    """

    def __init__(
        self,
        shape: Shape,
        command: Callable[[Task], Sequence[str]],
        logs: Path,
        *,
        restarts: int,
        clock: Clock,
        say: Callable[[str, str], None],
    ) -> None:
        self._shape, self._command, self._logs = shape, command, logs
        self._left, self._clock, self._say = restarts, clock, say
        self._running: dict[Task, Process] = {}
        self._configs: dict[Task, str] = {}
        self._signalled: int | None = None
        self._done_at: float | None = None
        self._lost_at: float | None = None
        self.first_failure: Ended | None = None

    @property
    def running(self) -> list[Task]:
        """The tasks whose processes run."""
        return [task for task, process in self._running.items() if process.code is None]

    def stop(self, signum: int) -> None:
        """Asks for the end: at first every task may save its state, the second time it comes at once."""
        again, self._signalled = self._signalled is not None, signum
        told = signal.SIGTERM if signum == signal.SIGHUP else signum  # a task would end by that at once
        for process in self._running.values():
            process.signal(signal.SIGKILL if again else told)

    def run(self, look: Callable[[list[Task]], None] | None = None) -> int:
        """Runs the cluster and returns its exit code: 0, or that of the first failure.

        Args:
            look: called again and again with the tasks that run; None: nobody looks.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        with Guard() as self._guard:
            try:
                self._start(self._shape.tasks, anew=True)
                while (code := self._looked()) is None:
                    if look is not None:
                        look(self.running)
                    self._clock.sleep(_LOOK_SECS)
                return code
            finally:
                for process in self._running.values():
                    process.end()

    def _start(self, tasks: Sequence[Task], *, anew: bool) -> None:
        if anew:  # the old ports may still be waiting for what was sent to them
            self._configs = self._shape.tf_configs()
        for task in tasks:
            log = self._logs / f"{task.name}.log"
            self._running[task] = Process(task, self._command(task), self._configs[task], log, self._say)
            self._guard.watch(process.pid for process in self._running.values())

    def _looked(self) -> int | None:
        """Looks at every process; returns the exit code of the whole once there is one."""
        if self._signalled is not None:
            _LOG.info("the tasks were asked to end, and have %g seconds to save", _SAVE_SECS)
            self._let_end(_SAVE_SECS)
            return 128 + self._signalled
        ended = [Ended(task, p.code) for task, p in self._running.items() if p.code is not None]
        done = Ended(Task("chief", 0), 0) in ended
        # Without a chief that needs them, servers and workers may be lost.
        failed = [e for e in ended if e.code != 0 and not (done and e.task.kind != "evaluator" and _again(e))]
        if failed:
            # Who lost a peer did not fail first.
            first = min(failed, key=lambda e: e.code == EXIT_PEER_LOST)
            return None if self._may_be_caused(first) else self._failed(first)
        if done:
            self._end_late()
            return None if self.running else 0
        return None

    def _may_be_caused(self, first: Ended) -> bool:
        """Whether it is too early to say that nobody failed before a task that lost a peer."""
        if first.code != EXIT_PEER_LOST or not self.running:
            self._lost_at = None
            return False
        self._lost_at = self._lost_at or self._clock.monotonic()
        early = self._clock.monotonic() - self._lost_at < _CAUSE_SECS
        self._lost_at = self._lost_at if early else None
        return early

    def _end_late(self) -> None:
        """Ends who does not see that the chief is done; an evaluator is given its time."""
        self._done_at = self._done_at or self._clock.monotonic()
        if self._clock.monotonic() - self._done_at < _SAVE_SECS:
            return
        for task in self.running:
            if task.kind != "evaluator":
                _LOG.warning("%s still ran %g seconds after the chief: it was ended", task.name, _SAVE_SECS)
                self._running[task].end()

    def _failed(self, first: Ended) -> int | None:
        self.first_failure = self.first_failure or first
        _LOG.error(
            "%s failed with exit code %d; its log is %s",
            first.task.name,
            first.code,
            self._logs / f"{first.task.name}.log",
        )
        if early := self._ended_early(first):
            _LOG.error("%s had ended with exit code 0, as if it were done", ", ".join(early))
        if not _again(first) or self._left == 0:
            self._ask_to_end(self._shape.tasks)
            self._let_end(_LOST_SECS)
            return first.code
        self._left -= 1
        kind = first.task.kind
        alone = kind == "evaluator" or (kind == "worker" and not self._shape.synchronous)
        tasks = [first.task] if alone else [t for t in self._shape.tasks if t.kind != "evaluator"]
        if not alone:
            self._ask_to_end(tasks)
            self._let_end(_LOST_SECS, tasks)
        for task in tasks:
            self._running.pop(task).end()
        _LOG.warning("starting again: %s; restarts left: %d", ", ".join(t.name for t in tasks), self._left)
        self._start(tasks, anew=not alone)
        return None

    def _ended_early(self, first: Ended) -> list[str]:
        """Who went before all were done, where a task failed since it lost or could not reach another."""
        if not self._shape.synchronous or first.code not in (EXIT_PEER_LOST, EXIT_UNAVAILABLE):
            return []
        return [t.name for t, p in self._running.items() if p.code == 0 and t.kind != "evaluator"]

    def _ask_to_end(self, tasks: Sequence[Task]) -> None:
        """Lets tasks save what they can; who needs no other would not notice that one is gone."""
        for task in tasks:
            self._running[task].signal(signal.SIGTERM)

    def _let_end(self, secs: float, tasks: Sequence[Task] | None = None) -> None:
        """Waits until these tasks, by default all, have ended, and ends those that have not in time."""
        until = self._clock.monotonic() + secs
        waited = self._shape.tasks if tasks is None else tasks
        while set(waited) & set(self.running) and self._clock.monotonic() < until:
            self._clock.sleep(_LOOK_SECS)
        for task in [task for task in self.running if task in waited]:
            _LOG.warning("%s did not end within %g seconds: it was killed", task.name, secs)
            self._running[task].end()
