"""What is wrong with a cluster: its tasks, in which ``expcore doctor --cluster`` runs, ask each other."""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from expcore.cli.health import Problem, versions
from expcore.cluster import RunConfig, explain
from expcore.errors import ClusterError, listing
from expcore.events import LOG_DIR
from expcore.tf_config import ClusterTask, is_loopback, tf_config_faults
from expcore.types import Clock

_CLOCKS_SECS = 5.0  # by which two clocks may differ before it is told
_ANSWER_SECS = 5.0  # for one answer
_LOOK_SECS = 0.5
_SOON_SECS = 3.0  # in which nothing is said of who is waited for
_RECENT_SECS = 60.0  # that a task's file may be older than an evaluator's, if all were started at once
_MOST = 100_000  # bytes of an answer


class Peer(NamedTuple):
    """Another task of the cluster."""

    name: str
    host: str
    port: int


class ClusterExamination:
    """Asks all other tasks, and answers theirs, for some time.

    Every task listens on its own address while it examines, and tells whoever connects what it is, the time,
    its versions and a token. It puts the same into the model directory, where an evaluator reads it: that has
    nothing but the directory in common with the others, and no port is open between them.

    Args:
        task: this process's, with a cluster or as an evaluator.
        cluster: job names with addresses.
        model_dir: the shared directory; None: it is not looked at.
        clock: gives time.
        timeout_secs: how long others are waited for.
        say: is given a line where others are waited for.
    """

    def __init__(
        self,
        task: ClusterTask,
        cluster: Mapping[str, list[str]],
        model_dir: str | None,
        clock: Clock,
        timeout_secs: float,
        say: Callable[[str], None],
    ) -> None:
        self._say = say
        self._name = f"{task.task_type} {task.task_id}"
        self._cluster = {job: list(addresses) for job, addresses in cluster.items()}
        self._model_dir, self._clock, self._timeout = model_dir, clock, timeout_secs
        self._token = secrets.token_hex(8)
        self._asked_by: set[str] = set()
        self.answers: dict[str, dict[str, Any]] = {}

    def run(self) -> list[Problem]:
        """Returns what is wrong, in the order of the tasks."""
        problems = [*self._shape(), *self._mixed(), *self._directory()]
        own = self._own()
        if own is None:
            failures = self._wait_for(self._read)
        else:
            listener, problem = _listen(own)
            problems += [problem] if problem else []
            failures = self._ask(listener)
        for peer in self._peers():
            problems += self._about(peer, failures.get(peer.name, ""))
        return problems

    # -- this task ----------------------------------------------------------------------------------

    def _tasks(self) -> Iterator[Peer]:
        for job, addresses in self._cluster.items():
            for i, address in enumerate(addresses):
                host, _, port = address.rpartition(":")
                yield Peer(f"{job} {i}", host.strip("[]"), int(port))

    def _own(self) -> Peer | None:
        return next((peer for peer in self._tasks() if peer.name == self._name), None)

    def _peers(self) -> list[Peer]:
        return [peer for peer in self._tasks() if peer.name != self._name]

    def _shape(self) -> list[Problem]:
        if not self._cluster.get("ps") or self._cluster.get("worker"):
            return []
        what = "it has ps and no worker, which makes the steps on their variables"
        return [Problem("TF_CONFIG.cluster", what, "add a worker; only estimators of 2017 do without")]

    def _mixed(self) -> list[Problem]:
        addresses = [a for found in self._cluster.values() for a in found]
        local = [a for a in addresses if is_loopback(a)]
        if not local or len(local) == len(addresses):
            return []
        what = f"{local[0]} is this machine alone, and other tasks have addresses that others can reach"
        return [Problem("TF_CONFIG", what, "give every task an address that all machines reach")]

    def _mark(self, name: str) -> Path:
        return Path(self._model_dir or "", LOG_DIR, f"doctor-{name.replace(' ', '-')}.json")

    def _directory(self) -> list[Problem]:
        """Puts the token into the shared directory."""
        if self._model_dir is None:
            return []
        mark = self._mark(self._name)
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            beside = mark.with_suffix(".tmp")
            beside.write_bytes(self._told())
            os.replace(beside, mark)
        except OSError as error:
            return [
                Problem(
                    f"model directory {self._model_dir!r}",
                    f"it cannot be written ({error.strerror})",
                    "make room or permissions, or mount it on this machine",
                )
            ]
        return []

    def _told(self) -> bytes:
        return json.dumps(
            {
                "task": self._name,
                "cluster": self._cluster,
                "time": self._clock.time(),
                "versions": _versions(),
                "token": self._token,
            }
        ).encode()

    def _answer(self, listener: socket.socket, ending: threading.Event) -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            with closing(connection), suppress(OSError):
                connection.settimeout(_ANSWER_SECS)
                asker = connection.recv(100).decode(errors="replace").strip()
                connection.sendall(self._told())
                self._asked_by.add(asker)

    # -- the others ---------------------------------------------------------------------------------

    def _ask(self, listener: socket.socket | None) -> dict[str, str]:
        """Asks by the network, and answers meanwhile; returns why those who did not answer did not."""
        ending = threading.Event()
        if listener is None:
            return self._wait_for(self._ask_one)
        answering = threading.Thread(target=self._answer, args=(listener, ending), daemon=True)
        with closing(listener):
            answering.start()
            try:
                return self._wait_for(self._ask_one)
            finally:
                ending.set()
                answering.join()  # else the port is taken for as long as it waits

    def _wait_for(self, look: Callable[[Peer], str]) -> dict[str, str]:
        """Looks until all have answered and asked; returns why those who did not answer did not."""
        began, told = self._clock.monotonic(), False
        failures: dict[str, str] = {}
        while True:
            for peer in self._peers():
                if peer.name not in self.answers:
                    failures[peer.name] = look(peer)
            waiting = [p for p in self._peers() if p.name not in self.answers or not self._has_asked(p)]
            if not waiting or self._clock.monotonic() >= began + self._timeout:
                return failures
            if not told and self._clock.monotonic() >= began + _SOON_SECS:
                told = True
                self._say(
                    f"waits for {listing([p.name for p in waiting])} until {self._timeout:g} seconds have "
                    "passed (--timeout)"
                )
            self._clock.sleep(_LOOK_SECS)

    def _has_asked(self, peer: Peer) -> bool:
        return self._own() is None or peer.name in self._asked_by

    def _ask_one(self, peer: Peer) -> str:
        try:
            with socket.create_connection((peer.host, peer.port), timeout=_ANSWER_SECS) as connection:
                connection.settimeout(_ANSWER_SECS)
                before = self._clock.time()
                connection.sendall(f"{self._name}\n".encode())
                answer = b""
                while len(answer) < _MOST and (part := connection.recv(4096)):
                    answer += part
                after = self._clock.time()
        except socket.gaierror as error:
            return f"its name {peer.host!r} cannot be resolved ({error.strerror})"
        except (TimeoutError, OSError) as error:
            return str(getattr(error, "strerror", None) or "no answer in time")
        if not self._keep(peer, answer, (before + after) / 2):
            return "something else than expcore doctor listens there"
        return ""

    def _read(self, peer: Peer) -> str:
        """Looks into the model directory for what another task has put there in these minutes."""
        if self._model_dir is None:
            return "an evaluator and the others have nothing but the directory in common, and none is given"
        mark, own = self._mark(peer.name), self._mark(self._name)
        try:
            apart = mark.stat().st_mtime - own.stat().st_mtime  # by one clock, that of the file server
            if apart < -max(self._timeout, _RECENT_SECS):
                return f"what it left in {self._model_dir!r} is {-apart:.0f} seconds old"
            answer = mark.read_bytes()
            written = json.loads(own.read_bytes())["time"]
        except (OSError, ValueError, KeyError):
            return f"it has left nothing in {self._model_dir!r}"
        if not self._keep(peer, answer, written + apart):
            return "another program's file is in its place"
        self.answers[peer.name]["heard"] = f"left word {max(0, -apart):.0f} s before this"
        return ""

    def _keep(self, peer: Peer, answer: bytes, now: float) -> bool:
        """Keeps an answer, with how far that clock is from this one; False: it is none."""
        try:
            found = json.loads(answer)
            found["apart"] = found["time"] - now
        except (ValueError, KeyError, TypeError):
            return False
        self.answers[peer.name] = found
        return True

    def _about(self, peer: Peer, failure: str) -> list[Problem]:
        subject = f"{peer.name} at {peer.host}:{peer.port}"
        answer = self.answers.get(peer.name)
        if answer is None:
            mend = "run expcore doctor --cluster in every task at once; check names, ports and firewalls"
            if self._own() is None:
                mend = "run expcore doctor --cluster in every task at once, with the same --output-dir"
                return [Problem(subject, f"nothing is known of it: {failure}", mend)]
            return [Problem(subject, f"it cannot be reached: {failure}", mend)]
        return [Problem(subject, what, mend) for what, mend in self._differences(peer, answer)]

    def _differences(self, peer: Peer, answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if answer.get("task") != peer.name:
            yield f"who answers there is {answer.get('task')}", "correct TF_CONFIG.cluster or .task"
        if answer.get("cluster") != self._cluster:
            yield "its TF_CONFIG has another cluster", "give all tasks the same TF_CONFIG.cluster"
        mine, its = _versions(), answer.get("versions") or {}
        for name in sorted(set(mine) | set(its)):
            if mine.get(name) != its.get(name):
                what = f"it has {name} {its.get(name) or 'not installed'}, here it is "
                yield what + f"{mine.get(name) or 'not installed'}", "install the same versions everywhere"
        if abs(answer["apart"]) > _CLOCKS_SECS:
            when = "ahead" if answer["apart"] > 0 else "behind"
            yield f"its clock is {abs(answer['apart']):.0f} seconds {when}", "run NTP on all machines"
        if self._model_dir is not None and self._seen(peer) != answer.get("token"):
            yield (
                f"what it wrote into its model directory is not in {self._model_dir!r} here",
                "give all tasks one shared directory with --output-dir",
            )

    def _seen(self, peer: Peer) -> str | None:
        try:
            return str(json.loads(self._mark(peer.name).read_bytes())["token"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _versions() -> dict[str, str | None]:
    """Versions, without where Python is, which may differ."""
    found = versions()
    return {**found, "python": str(found["python"]).partition(",")[0]}


def _problem(error: ClusterError) -> Problem:
    subject, _, what = str(error).partition(": ")
    return Problem(subject, *what.rpartition("; ")[::2])


def examine_cluster(
    model_dir: str | None, timeout_secs: float, clock: Clock, say: Callable[[str], None]
) -> tuple[dict[str, Any], list[Problem]]:
    """Returns what this process is in its cluster by TF_CONFIG, and what is wrong there.

    Args:
        model_dir: the shared directory; None: it is not looked at.
        timeout_secs: how long others are waited for.
        clock: gives time.
        say: is given a line where others are waited for.
    """
    try:
        config = RunConfig(model_dir=model_dir)
    except ClusterError as error:
        return {}, [_problem(fault) for fault in tf_config_faults(os.environ.get("TF_CONFIG")) or [error]]
    text = os.environ.get("TF_CONFIG", "").strip()
    cluster = {
        job: addresses
        for job, addresses in (json.loads(text).get("cluster") or {} if text else {}).items()
        if job != "evaluator" and addresses
    }
    told = {"role": explain(config), "tasks": {}}
    if not cluster:
        mend = 'set it to {"cluster": {...}, "task": {...}}, or leave --cluster out'
        return told, [Problem("TF_CONFIG", "it names no cluster", mend)]
    task = config.task or ClusterTask()
    examination = ClusterExamination(task, cluster, config.model_dir, clock, timeout_secs, say)
    problems = examination.run()
    tasks = {
        name: f"{answer.get('heard', 'answered')}; clock {answer['apart']:+.1f} s"
        for name, answer in examination.answers.items()
    }
    if config.model_dir is None:
        tasks["the directory"] = "not looked at: give --output-dir, to see that all share it"
    told["tasks"] = tasks
    return told, problems


def _listen(own: Peer) -> tuple[socket.socket | None, Problem | None]:
    """Listens on this task's address; else says what is wrong with it."""
    subject = f"{own.name}, this task, at {own.host}:{own.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(own.host, own.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
    except socket.gaierror as error:
        return None, Problem(
            subject, f"its name cannot be resolved ({error.strerror})", "correct the name, or the DNS"
        )
    except OSError as error:
        why = {
            errno.EADDRINUSE: ("another program listens on this port", "free it, or give another port"),
            errno.EADDRNOTAVAIL: ("this machine does not have this address", "correct TF_CONFIG.task"),
            errno.EACCES: ("this port needs privileges", "give one above 1023"),
        }
        what, mend = why.get(
            error.errno or 0, (f"it cannot be listened on ({error.strerror})", "give another")
        )
        return None, Problem(subject, what, mend)
    listener.settimeout(_LOOK_SECS)
    return listener, None
