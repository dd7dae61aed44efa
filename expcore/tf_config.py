"""TF_CONFIG: what it says about this process's task in a cluster, parsed and checked."""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from expcore.errors import ClusterError, listing, nearest

_LOG = logging.getLogger(__name__)

_JOBS = ("chief", "master", "worker", "ps", "evaluator")
_KNOWN_KEYS: dict[str, tuple[type, str]] = {
    "cluster": (Mapping, "an object of job names with lists of addresses"),
    "task": (Mapping, "an object with type and index"),
    "environment": (str, "a string"),
    "service": (Mapping, "an object"),
    "session_master": (str, "a string"),
    "eval_session_master": (str, "a string"),
    "model_dir": (str, "a string"),
    "rpc_layer": (str, "a string"),
}
_MAX_CHARS = 1_000_000
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, kw_only=True)
class ClusterTask:
    """What this process is in its cluster; the default is a process on its own.

    Attributes:
        jobs: job names with their addresses; empty without a cluster, and for an evaluator, which takes no
            part in it.
        task_type: "chief", "master", "worker", "ps" or "evaluator"; None where nothing says so.
        task_id: index within the job, from 0.
        master: where the training session is, as ``grpc://host:port``; "" for this process itself.
        evaluation_master: the same for the evaluation.
        model_dir: the model directory that TF_CONFIG names; None where it names none.
    """

    jobs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    task_type: str | None = None
    task_id: int = 0
    master: str = ""
    evaluation_master: str = ""
    model_dir: str | None = None

    @property
    def cluster_spec(self) -> dict[str, list[str]]:
        """Job names with lists of addresses; a new dict every time."""
        return {job: list(addresses) for job, addresses in self.jobs}

    @property
    def is_chief(self) -> bool:
        """Whether this process saves: chief, master, worker 0 without either, or a process on its own."""
        if not self.jobs:
            return self.task_type != "evaluator"
        if self.num("chief") or self.num("master"):
            return self.task_type in ("chief", "master")
        return self.task_type == "worker" and self.task_id == 0

    @property
    def num_ps_replicas(self) -> int:
        """Number of parameter servers."""
        return self.num("ps")

    @property
    def num_worker_replicas(self) -> int:
        """Number of processes that train: workers and chief or master; 1 on its own, 0 for an evaluator."""
        if not self.jobs:
            return 0 if self.task_type == "evaluator" else 1
        return self.num("worker") + self.num("chief") + self.num("master")

    def num(self, job: str) -> int:
        """Returns the number of tasks of a job; 0 for one that the cluster does not have."""
        return len(dict(self.jobs).get(job, ()))


def parse_tf_config(source: str | Mapping[str, Any] | None, *, warn: bool = True) -> ClusterTask:
    """Reads and checks TF_CONFIG.

    Without a cluster the task may be left out, or be worker 0 or evaluator 0. A cluster has one chief or
    one master; one of workers only, as TensorFlow 2's strategies use it, has worker 0 for its chief. An
    evaluator need not be in the cluster, and sees an empty one. Unknown keys are ignored with a warning.

    Args:
        source: JSON text, or the mapping that it stands for; None or blank text: a process on its own.
        warn: whether unknown keys are told; False where it is read once more.

    Raises:
        ClusterError: anything is wrong; one line that names the place, the value, the rule and a way out.
    """
    config = _load(source)
    _check_top(config, warn)
    jobs = _read_jobs(config.get("cluster") or {})
    task_type, task_id = _read_task(config.get("task") or {}, jobs)
    outside = task_type is None or task_type == "evaluator" or sum(map(len, jobs.values())) < 2
    address = "" if outside else f"{config.get('rpc_layer') or 'grpc'}://{jobs[str(task_type)][task_id]}"
    return ClusterTask(
        jobs=() if task_type == "evaluator" else tuple((job, tuple(found)) for job, found in jobs.items()),
        task_type=task_type,
        task_id=task_id,
        master=config.get("session_master") or address,
        evaluation_master=config.get("eval_session_master") or "",
        model_dir=config.get("model_dir"),
    )


def tf_config_faults(source: str | Mapping[str, Any] | None) -> list[ClusterError]:
    """Returns what is wrong with TF_CONFIG, each fault that does not follow from another; none: it is right.

    Args:
        source: as for ``parse_tf_config``, which raises the first of them.
    """
    found: list[ClusterError] = []

    def tried(check: Callable[..., Any], *args: Any) -> Any:
        try:
            return check(*args)
        except ClusterError as error:
            found.append(error)
            return None

    if (config := tried(_load, source)) is None:
        return found
    for key in config:
        tried(_check_key, config, key, False)
    cluster = config.get("cluster") or {}
    seen: dict[str, str] = {}
    for job, addresses in cluster.items() if isinstance(cluster, Mapping) else ():
        before = len(found)
        tried(_check_job, job, addresses)
        if len(found) == before:
            for n, address in enumerate(addresses):
                tried(_check_address, address, f"{_at('.cluster', job)}[{n}]", seen)
    return found or _first_fault(config)


def _first_fault(config: Mapping[str, Any]) -> list[ClusterError]:
    try:
        parse_tf_config(config, warn=False)
    except ClusterError as error:
        return [error]
    return []


def is_loopback(address: str) -> bool:
    """Whether an address, with or without a port, can only be reached from this machine."""
    found = _ADDRESS.fullmatch(address)
    host = (found["v6"] or found["name"]) if found else address.strip("[]")
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(number, "ipv4_mapped", None)
    return bool((mapped or number).is_loopback)


class _Twice:
    """Stands where a JSON object has one key twice."""


def _load(source: Any) -> Mapping[str, Any]:
    if source is None or (isinstance(source, str) and not source.strip()):
        return {}
    if isinstance(source, str):
        if len(source) > _MAX_CHARS:
            _fail("", source, f"it must not be longer than {_MAX_CHARS}", "shorten it")
        try:
            source = json.loads(source, object_pairs_hook=_pairs)
            _refuse_twice(source, "")
        except RecursionError:
            _fail("", source, "it is nested too deeply", "write it as flat as it should be")
        except json.JSONDecodeError as error:
            rule = f"it is not JSON: {error.msg} at character {error.pos}"
            _fail("", source, rule, 'write {"cluster": {...}, "task": {...}} or unset it')
        except ValueError as error:
            if isinstance(error, ClusterError):
                raise
            _fail("", source, "it holds a number of too many digits", "correct it or unset it")
    if not isinstance(source, Mapping):
        _fail("", source, "it must be an object", 'write {"cluster": {...}, "task": {...}} or unset it')
    return source


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key] = _Twice() if key in found else value
    return found


def _refuse_twice(value: Any, path: str) -> None:
    if isinstance(value, _Twice):
        _fail(path, value, "the key stands twice in its object", "remove one of the two")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_twice(inner, _at(path, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            _refuse_twice(inner, f"{path}[{n}]")


def _check_top(config: Mapping[str, Any], warn: bool) -> None:
    for key in config:
        _check_key(config, key, warn)


def _check_key(config: Mapping[str, Any], key: Any, warn: bool) -> None:
    value = config[key]
    if key not in _KNOWN_KEYS:
        text = key if isinstance(key, str) else ""
        # Without these a process would do something else than was meant, such as train alone.
        if meant := nearest(text, [name for name in ("cluster", "task") if name not in config]):
            _fail(_at("", key), value, f"the key is not known{meant.rstrip('?')}", "correct it")
        if warn:
            close = nearest(text, _KNOWN_KEYS)
            _LOG.warning("TF_CONFIG: the key %s is not known and is ignored%s", shown(key), close)
    elif value is not None and not isinstance(value, _KNOWN_KEYS[key][0]):
        _fail(f".{key}", value, f"it must be {_KNOWN_KEYS[key][1]}", "correct it or leave it out")
    elif key == "model_dir" and value == "":
        _fail(".model_dir", "", "it must not be empty", "give a path or leave it out")


def _read_jobs(cluster: Mapping[str, Any]) -> dict[str, list[str]]:
    jobs: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for job, addresses in cluster.items():
        _check_job(job, addresses)
        for n, address in enumerate(addresses):
            _check_address(address, f"{_at('.cluster', job)}[{n}]", seen)
        if addresses:  # some launchers write empty lists for the jobs that they do not use
            jobs[job] = list(addresses)
    _check_chief(jobs)
    return jobs


def _check_job(job: Any, addresses: Any) -> None:
    path = _at(".cluster", job)
    if job not in _JOBS:
        close = nearest(job, _JOBS) if isinstance(job, str) else ""
        _fail(path, addresses, f"the job must be one of {listing(_JOBS)}{close}", "rename or remove it")
    if not isinstance(addresses, (list, tuple)):
        _fail(path, addresses, "it must be a list of addresses", 'write ["host:port", ...]')


def _check_address(address: Any, path: str, seen: dict[str, str]) -> None:
    write = "write host:port, an IPv6 address in brackets as [::1]:2222"
    if not isinstance(address, str):
        _fail(path, address, "an address must be a string", write)
    found = _ADDRESS.fullmatch(address)
    if found is None or (found["v6"] and not _is_ipv6(found["v6"])):
        _fail(path, address, "it is not an address", write)
    if not 1 <= int(found["port"]) <= 65535:
        _fail(path, address, "the port must be from 1 to 65535", write)
    host = str(ipaddress.IPv6Address(found["v6"])) if found["v6"] else found["name"].lower()
    same = f"{host} {int(found['port'])}"
    if same in seen:
        _fail(path, address, f"TF_CONFIG{seen[same]} has it too", "give every task an address of its own")
    seen[same] = path


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _check_chief(jobs: Mapping[str, list[str]]) -> None:
    chiefs = [job for job in ("chief", "master") if job in jobs]
    if len(chiefs) == 2:
        _fail(".cluster", list(jobs), "it has both a chief and a master", "keep one of the two")
    for job in chiefs:
        if len(jobs[job]) > 1:
            _fail(f".cluster.{job}", jobs[job], f"a cluster has exactly one {job}", "make the others workers")
    if not chiefs and jobs and ("worker" not in jobs or "ps" in jobs):
        rule = "it has neither a chief nor a master; only a cluster of workers alone can do without"
        _fail(".cluster", list(jobs), rule, 'add "chief": ["host:port"]')
    if "master" in jobs and "evaluator" in jobs:
        rule = "a master evaluates by itself, so there can be no evaluator beside it"
        _fail(".cluster", list(jobs), rule, "remove the evaluator, or name the master chief")


def _read_task(task: Mapping[str, Any], jobs: Mapping[str, list[str]]) -> tuple[str | None, int]:
    kind, index = task.get("type"), task.get("index")
    if kind is not None and not isinstance(kind, str):
        _fail(".task.type", kind, "it must be a string", f"write one of {listing(list(jobs) or _JOBS)}")
    if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
        _fail(".task.index", index, "it must be a whole number", "write digits alone, such as 0")
    if not jobs:
        return _task_alone(kind, index)
    if kind is None:
        _fail(".task.type", None, "a cluster needs it", f"write one of {listing(list(jobs))} or 'evaluator'")
    if index is None:
        _fail(".task.index", None, "a cluster needs it", f"say which {kind} this process is, from 0")
    if kind == "evaluator" and "master" in jobs:
        rule = "a master evaluates by itself, so there can be no evaluator beside it"
        _fail(".task.type", kind, rule, "do not start the evaluator, or name the master chief")
    if kind != "evaluator" and kind not in jobs:
        rule = f"the cluster has no such job, only {listing(list(jobs))}{nearest(kind, jobs)}"
        _fail(".task.type", kind, rule, "correct it or add the job to the cluster")
    if index < 0 or (kind in jobs and index >= len(jobs[kind])):
        rule = f"the cluster has {len(jobs.get(kind, ()))} of job {kind!r}, counted from 0"
        _fail(".task.index", index, rule, "correct it or add an address to the cluster")
    return kind, index


def _task_alone(kind: str | None, index: int | None) -> tuple[str | None, int]:
    add = "correct it or add the cluster"
    if kind not in (None, "worker", "evaluator"):
        _fail(".task.type", kind, "without a cluster it must be 'worker' or 'evaluator'", add)
    if index not in (None, 0):
        _fail(".task.index", index, "without a cluster it must be 0", add)
    return kind, 0


def _at(path: str, key: Any) -> str:
    plain = isinstance(key, str) and key.isascii() and key.isidentifier()
    return f"{path}.{key}" if plain else f"{path}[{shown(key)}]"


def shown(value: Any) -> str:
    """Describes any value in a few characters of one line, however large or deep it is."""
    if value is None or isinstance(value, (bool, float)):
        return "nothing" if value is None else repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= 64 else f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value) if len(value) <= 80 else f"{value[:60]!r}... ({len(value)} characters)"
    if isinstance(value, Mapping):
        return f"an object with {len(value)} keys"
    if isinstance(value, (list, tuple)):
        short = len(value) <= 5 and all(isinstance(v, str) and len(v) <= 20 for v in value)
        return repr(list(value)) if short else f"a list of {len(value)}"
    return "two values" if isinstance(value, _Twice) else f"an object of type {type(value).__name__}"


def _fail(path: str, value: Any, rule: str, next_step: str) -> NoReturn:
    found = "is missing" if value is None else f"= {shown(value)}"
    raise ClusterError(f"TF_CONFIG{path} {found}: {rule}; {next_step}")
