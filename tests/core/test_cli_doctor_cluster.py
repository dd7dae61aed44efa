"""``expcore doctor --cluster``: the tasks of a cluster find out from each other what is wrong."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from contextlib import suppress

import pytest
from click.testing import CliRunner

from expcore.cli import cluster_health
from expcore.cli.cluster_health import ClusterExamination
from expcore.cli.main import main
from expcore.clock import RealClock
from expcore.launch.shape import free_ports
from expcore.testing import VirtualClock
from expcore.tf_config import ClusterTask


def cluster_of(*jobs):
    ports = iter(free_ports(len(jobs)))
    found = {}
    for job in jobs:
        found.setdefault(job, []).append(f"127.0.0.1:{next(ports)}")
    return found


class Skewed(RealClock):
    """A clock that is so many seconds ahead."""

    def __init__(self, secs):
        self._secs = secs

    def time(self):
        return super().time() + self._secs


def examine(tasks, timeout=20.0):
    """Runs examinations side by side: (kind, index, cluster, directory, clock) of each."""
    made = [
        ClusterExamination(ClusterTask(task_type=kind, task_id=i), cluster, directory, clock, timeout, print)
        for kind, i, cluster, directory, clock in tasks
    ]
    found = [None] * len(made)

    def run(n):
        found[n] = made[n].run()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(made))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_cluster_in_which_all_is_right(tmp_path):
    cluster = cluster_of("chief", "worker", "ps")
    tasks = [(job, 0, cluster, str(tmp_path), RealClock()) for job in cluster]
    assert examine([*tasks, ("evaluator", 0, cluster, str(tmp_path), RealClock())]) == [[], [], [], []]


def test_an_evaluator_may_come_when_the_others_have_long_answered_each_other(tmp_path):
    cluster = cluster_of("chief", "worker")
    assert examine([(job, 0, cluster, str(tmp_path), RealClock()) for job in cluster]) == [[], []]
    assert examine([("evaluator", 0, cluster, str(tmp_path), RealClock())]) == [[]]


def test_an_evaluator_sees_in_the_directory_what_differs(tmp_path):
    cluster = cluster_of("chief", "worker")
    clocks = {"chief": RealClock(), "worker": Skewed(60)}
    examine([(job, 0, cluster, str(tmp_path), clocks[job]) for job in cluster])
    (problems,) = examine([("evaluator", 0, {**cluster, "ps": []}, str(tmp_path), RealClock())])
    assert [(p.subject.partition(" at ")[0], p.what) for p in problems] == [
        ("chief 0", "its TF_CONFIG has another cluster"),
        ("worker 0", "its TF_CONFIG has another cluster"),
        ("worker 0", "its clock is 60 seconds ahead"),
    ]


@pytest.mark.parametrize("left", [None, "[]", "{", "old"])
def test_an_evaluator_without_word_of_the_others(tmp_path, left):
    cluster = cluster_of("chief")
    if left:
        mark = tmp_path / "expcore" / "doctor-chief-0.json"
        mark.parent.mkdir()
        mark.write_text(left)
        if left == "old":
            os.utime(mark, (time.time() - 1000, time.time() - 1000))
    ((problem,),) = examine([("evaluator", 0, cluster, str(tmp_path), RealClock())], timeout=0.1)
    assert problem.subject.startswith("chief 0")
    assert "nothing is known of it" in problem.what
    assert ("seconds old" in problem.what) == (left == "old")
    assert "same --output-dir" in problem.mend


def test_an_evaluator_without_a_directory():
    ((problem,),) = examine([("evaluator", 0, cluster_of("chief"), None, RealClock())], timeout=0.1)
    assert "none is given" in problem.what


def test_a_task_that_is_not_there():
    cluster = cluster_of("chief", "worker")
    ((problem,),) = examine([("chief", 0, cluster, None, RealClock())], timeout=0.1)
    assert problem.subject == f"worker 0 at {cluster['worker'][0]}"
    assert "refused" in problem.what
    assert "in every task" in problem.mend


def test_who_is_waited_for_is_told_once():
    said = []
    cluster = cluster_of("chief", "worker", "worker")
    chief = ClusterTask(task_type="chief")
    assert len(ClusterExamination(chief, cluster, None, VirtualClock(), 60.0, said.append).run()) == 2
    assert said == ["waits for 'worker 0', 'worker 1' until 60 seconds have passed (--timeout)"]
    assert len(ClusterExamination(chief, cluster, None, VirtualClock(), 2.0, said.append).run()) == 2
    assert len(said) == 1


def test_a_name_that_cannot_be_resolved():
    cluster = {**cluster_of("chief"), "worker": ["no-such-host.invalid:2222"]}
    (problems,) = examine([("chief", 0, cluster, None, RealClock())], timeout=0.1)
    problem = problems[-1]
    assert "'no-such-host.invalid' cannot be resolved" in problem.what


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cluster = {"chief": [f"127.0.0.1:{taken.getsockname()[1]}"]}
        ((problem,),) = examine([("chief", 0, cluster, None, RealClock())], timeout=0.1)
    assert "another program listens on this port" in problem.what


def test_an_address_of_another_machine():
    cluster = {"chief": ["192.0.2.7:2222"]}  # an address for documentation, which nobody has
    ((problem,),) = examine([("chief", 0, cluster, None, RealClock())], timeout=0.1)
    assert "does not have this address" in problem.what


def test_something_else_that_listens():
    cluster = cluster_of("chief", "worker")
    host, _, port = cluster["worker"][0].rpartition(":")
    with socket.create_server((host, int(port))) as other:

        def serve():
            with suppress(OSError):  # until it is closed
                while True:
                    connection, _ = other.accept()
                    connection.recv(100)
                    connection.sendall(b"SSH-2.0-something\r\n")
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        ((problem,),) = examine([("chief", 0, cluster, None, RealClock())], timeout=0.1)
    assert "something else than expcore doctor listens there" in problem.what


def test_two_machines_that_take_each_other_for_somebody_else():
    cluster = cluster_of("chief", "worker")
    swapped = {"chief": cluster["worker"], "worker": cluster["chief"]}
    tasks = [("chief", 0, cluster, None, RealClock()), ("worker", 0, swapped, None, RealClock())]
    (chief, worker) = examine(tasks, timeout=0.5)
    told = " ".join(problem.what for problem in chief + worker)
    assert "another program listens" in told or "its TF_CONFIG has another cluster" in told


@pytest.mark.parametrize(("secs", "told"), [(60, "60 seconds ahead"), (-30, "30 seconds behind")])
def test_clocks_that_differ(secs, told):
    cluster = cluster_of("chief", "worker")
    tasks = [("chief", 0, cluster, None, RealClock()), ("worker", 0, cluster, None, Skewed(secs))]
    ((problem,), _) = examine(tasks)
    assert told in problem.what


def test_directories_that_are_not_the_same(tmp_path):
    cluster = cluster_of("chief", "worker")
    tasks = [(job, 0, cluster, str(tmp_path / job), RealClock()) for job in cluster]
    ((problem,), _) = examine(tasks)
    assert "is not in" in problem.what
    assert "shared directory" in problem.mend


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    cluster = cluster_of("chief")
    ((problem,),) = examine([("chief", 0, cluster, str(tmp_path / "file"), RealClock())], timeout=0.1)
    assert "cannot be written" in problem.what


def test_versions_that_differ(monkeypatch):
    cluster = cluster_of("chief", "worker")
    versions = {"expcore": "1", "python": "3.11.7, /usr/bin/python3", "tensorflow": "2.21.0"}
    monkeypatch.setattr(cluster_health, "versions", lambda: versions)
    told = ClusterExamination._told

    def of_the_worker(self):
        found = json.loads(told(self))
        if found["task"] == "worker 0":
            found["versions"] |= {"tensorflow": "2.20.0", "keras": "3.15.1"}
        return json.dumps(found).encode()

    monkeypatch.setattr(ClusterExamination, "_told", of_the_worker)
    (problems, _) = examine([(job, 0, cluster, None, RealClock()) for job in cluster])
    assert [p.what for p in problems] == [
        "it has keras 3.15.1, here it is not installed",
        "it has tensorflow 2.20.0, here it is 2.21.0",
    ]


def test_parameter_servers_without_a_worker():
    examination = ClusterExamination(
        ClusterTask(task_type="chief"), cluster_of("chief", "ps"), None, RealClock(), 0.0, print
    )
    (problem,) = examination._shape()
    assert "ps and no worker" in problem.what
    whole = ClusterExamination(
        ClusterTask(task_type="chief"), cluster_of("chief", "worker", "ps"), None, RealClock(), 0.0, print
    )
    assert whole._shape() == []


def test_an_evaluator_says_that_it_only_read_what_others_left(tmp_path):
    cluster = cluster_of("chief", "worker")
    examine([(job, 0, cluster, str(tmp_path), RealClock()) for job in cluster])
    evaluator = ClusterExamination(
        ClusterTask(task_type="evaluator"), cluster, str(tmp_path), RealClock(), 5.0, print
    )
    assert evaluator.run() == []
    assert all(re.fullmatch(r"left word \d+ s before this", a["heard"]) for a in evaluator.answers.values())


def test_addresses_of_which_some_are_loopback():
    cluster = {**cluster_of("chief"), "worker": ["192.0.2.7:2222"]}
    examination = ClusterExamination(ClusterTask(task_type="chief"), cluster, None, RealClock(), 0.0, print)
    (problem,) = examination._mixed()
    assert "this machine alone" in problem.what


def test_the_command_tells_a_wrong_tf_config_in_one_line(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}')
    done = CliRunner().invoke(main, ["doctor", "--cluster"])
    assert done.exit_code == 1
    assert "TF_CONFIG.cluster.worker[0] = 'a'" in done.stdout


def test_launch_finds_before_it_starts_anything_what_can_be_found(tmp_path):
    (tmp_path / "file").write_text("")
    experiment = tmp_path / "experiment.py"
    experiment.write_text("")

    def told(*words):
        done = CliRunner().invoke(main, ["launch", *map(str, words)])
        assert "Traceback" not in done.output
        return done.exit_code, done.stderr

    code, text = told(experiment, "--output-dir", tmp_path / "file")
    assert (code, "is not a folder" in text) == (73, True)
    code, text = told(experiment, "--output-dir", "/proc/none")
    assert (code, "name another one" in text) == (73, True)
    code, text = told(tmp_path / "no.py", "--output-dir", tmp_path / "run")
    assert (code, "there is no such file" in text) == (64, True)
    code, text = told(experiment, "--workers", "5000", "--output-dir", tmp_path / "run")
    assert (code, "0<=x<=64" in text) == (64, True)
    assert not (tmp_path / "run").exists()


def test_run_tells_an_unknown_key_of_tf_config_once(monkeypatch, tmp_path):
    experiment = tmp_path / "experiment.py"
    experiment.write_text("import expcore\ndef experiment(output_dir):\n    expcore.RunConfig()\n")
    monkeypatch.setenv("TF_CONFIG", '{"none": 1}')
    done = CliRunner().invoke(main, ["run", str(experiment), "--output-dir", str(tmp_path / "run")])
    assert done.stderr.count("the key 'none' is not known") == 1


def test_run_tells_a_wrong_tf_config_before_the_experiment_is_read(monkeypatch, tmp_path):
    experiment = tmp_path / "experiment.py"
    experiment.write_text("raise SystemExit('it was read')")
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}')
    done = CliRunner().invoke(main, ["run", str(experiment), "--output-dir", str(tmp_path / "run")])
    assert done.exit_code == 64
    assert done.stderr.startswith("expcore: error: TF_CONFIG.cluster.worker[0] = 'a'")
    assert not (tmp_path / "run").exists()


def test_the_command_without_a_cluster_says_so(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    done = CliRunner().invoke(main, ["doctor", "--cluster", "--format", "json"])
    assert done.exit_code == 1
    assert {"subject": "TF_CONFIG", "what": "it names no cluster"}.items() <= (
        json.loads(done.stdout)["problems"][-1].items()
    )


def test_the_command_looks_at_a_cluster_of_one(monkeypatch, tmp_path):
    cluster = cluster_of("chief")
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "chief", "index": 0}}))
    done = CliRunner().invoke(main, ["doctor", "--cluster", "--output-dir", str(tmp_path)])
    assert done.exit_code == 0, done.stdout
    assert "role: chief 0 of 1, the chief" in done.stdout
    assert f"model_dir: {tmp_path}" in done.stdout.replace("\n", "").replace("    ", "")
    assert "not looked at" not in done.stdout
    done = CliRunner().invoke(main, ["doctor", "--cluster"])
    assert done.exit_code == 0, done.stdout
    assert "the directory  not looked at: give --output-dir, to see that all share it" in done.stdout


def test_a_directory_is_named_with_a_cluster_only():
    done = CliRunner().invoke(main, ["doctor", "--output-dir", "runs"])
    assert done.exit_code == 64
