"""A cluster of processes on this machine: its shape, its supervisor, and that nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from expcore.cli.main import main
from expcore.clock import RealClock
from expcore.errors import InvalidArgument
from expcore.launch import Shape, Supervisor
from expcore.launch.shape import Task
from expcore.passes.lock import launcher_lock
from expcore.tf_config import parse_tf_config

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux ends children with their parent")


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true, secs=20):
    until = time.monotonic() + secs
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    assert true()


@pytest.mark.parametrize(("workers", "ps"), [(0, 0), (1, 0), (3, 0), (1, 2), (3, 1)])
@pytest.mark.parametrize("evaluators", [0, 1])
def test_every_task_is_told_a_cluster_that_is_right(workers, ps, evaluators):
    configs = Shape(workers, ps, evaluators).tf_configs()
    assert len(configs) == 1 + workers + ps + evaluators
    clusters = set()
    for task, text in configs.items():
        found = parse_tf_config(text)
        assert (found.task_type, found.task_id) == (task.kind, task.index)
        clusters.add(json.dumps(json.loads(text)["cluster"]))
    assert len(clusters) == 1
    ports = [a for addresses in json.loads(clusters.pop()).values() for a in addresses]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("numbers", [{"workers": -1}, {"evaluators": -1}, {"ps": 1}])
def test_a_shape_that_is_none_is_refused(numbers):
    with pytest.raises(InvalidArgument, match="cluster of"):
        Shape(**numbers)


class Cluster:
    """Runs programs, Python code by the kind of the task, under a supervisor."""

    def __init__(self, folder, programs, *, shape, restarts=0):
        self.said = []
        self.supervisor = Supervisor(
            shape,
            lambda task: [sys.executable, "-c", programs[task.kind]],
            folder / "logs",
            restarts=restarts,
            clock=RealClock(),
            say=lambda name, line: self.said.append((name, line)),
        )

    def run(self, look=None):
        return self.supervisor.run(look)


WELL = "print('well')"


def test_a_cluster_whose_tasks_all_end_well_ends_well(tmp_path):
    cluster = Cluster(
        tmp_path, {"chief": WELL, "worker": WELL, "evaluator": WELL}, shape=Shape(2, evaluators=1)
    )
    assert cluster.run() == 0
    assert sorted(cluster.said) == [
        (name, "well") for name in ("chief-0", "evaluator-0", "worker-0", "worker-1")
    ]
    assert (tmp_path / "logs" / "worker-1.log").read_text() == "well\n"
    assert cluster.supervisor.first_failure is None


def test_each_process_has_a_tf_config_of_its_own(tmp_path):
    program = "import json, os; print(json.loads(os.environ['TF_CONFIG'])['task'])"
    cluster = Cluster(tmp_path, {"chief": program, "worker": program}, shape=Shape(1))
    assert cluster.run() == 0
    assert dict(cluster.said) == {
        "chief-0": "{'type': 'chief', 'index': 0}",
        "worker-0": "{'type': 'worker', 'index': 0}",
    }


@linux
def test_the_first_failure_is_named_and_the_others_are_ended(tmp_path, monkeypatch):
    waits = "import time; print(__import__('os').getpid(), flush=True); time.sleep(600)"
    cluster = Cluster(tmp_path, {"chief": waits, "worker": "import sys; sys.exit(7)"}, shape=Shape(1))
    monkeypatch.setattr("expcore.launch.supervisor._LOST_SECS", 0.5)
    assert cluster.run() == 7
    assert cluster.supervisor.first_failure == (Task("worker", 0), 7)
    assert not any(alive(int(line)) for name, line in cluster.said if name == "chief-0")


@linux
@pytest.mark.parametrize("restarts", [0, 1])
def test_where_a_task_has_failed_the_others_are_asked_to_end_and_may_save(tmp_path, monkeypatch, restarts):
    waits = """
import os, signal, sys, time
def save(*_):
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
open("ready", "w").close()
time.sleep(600)
"""
    dies = """
import os, time
while not os.path.exists("ready"):
    time.sleep(0.05)
os.remove("ready")
os.kill(os.getpid(), 9)
"""
    monkeypatch.chdir(tmp_path)
    cluster = Cluster(tmp_path, {"chief": waits, "worker": dies}, shape=Shape(1), restarts=restarts)
    monkeypatch.setattr("expcore.launch.supervisor._LOST_SECS", 600.0)  # it ends since it is asked to
    assert cluster.run() == 137
    assert cluster.said == [("chief-0", "saved")] * (1 + restarts)


def test_who_lost_a_peer_did_not_fail_first(tmp_path):
    lost, killed = "import sys; sys.exit(138)", "import os; os.kill(os.getpid(), 9)"
    cluster = Cluster(tmp_path, {"chief": lost, "worker": killed}, shape=Shape(1))

    class Late(RealClock):
        """Looks when both have long ended."""

        def sleep(self, secs):
            super().sleep(max(secs, 2.0))

    cluster.supervisor._clock = Late()
    assert cluster.run() == 137
    assert cluster.supervisor.first_failure == (Task("worker", 0), 137)


ONCE = """
import json, os, pathlib, sys
task = json.loads(os.environ["TF_CONFIG"])["task"]
place = pathlib.Path({folder!r}, f"{{task['type']}}-{{task['index']}}")
times = int(place.read_text()) if place.exists() else 0
place.write_text(str(times + 1))
sys.exit({code} if times < {bad} else 0)
"""


def starts(folder):
    return sorted(int(f.read_text()) for f in folder.iterdir())


WAITS = """
import pathlib, time
while [f.read_text() for f in pathlib.Path({folder!r}).iterdir()] != [{times!r}]:
    time.sleep(0.05)
print("seen")
"""


@pytest.mark.parametrize("code", [137, 138, 69])
def test_a_training_that_lost_a_process_is_started_again_as_a_whole(tmp_path, monkeypatch, code):
    monkeypatch.setattr("expcore.launch.supervisor._LOST_SECS", 0.5)
    marks = tmp_path / "marks"
    marks.mkdir()
    bad = ONCE.format(folder=str(marks), code=code, bad=2)
    chief = WAITS.format(folder=str(marks), times="3")
    cluster = Cluster(tmp_path, {"chief": chief, "worker": bad}, shape=Shape(1), restarts=2)
    assert cluster.run() == 0
    assert starts(marks) == [3]
    assert cluster.supervisor.first_failure == (Task("worker", 0), code)


def test_as_often_as_asked_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.supervisor._LOST_SECS", 0.5)
    marks = tmp_path / "marks"
    marks.mkdir()
    bad = ONCE.format(folder=str(marks), code=137, bad=9)
    chief = WAITS.format(folder=str(marks), times="9")
    cluster = Cluster(tmp_path, {"chief": chief, "worker": bad}, shape=Shape(1), restarts=1)
    assert cluster.run() == 137
    assert starts(marks) == [2]


def test_a_worker_that_is_lost_when_the_chief_is_done_is_not_missed(tmp_path):
    killed = "import os, time; time.sleep(1); os.kill(os.getpid(), 9)"
    cluster = Cluster(tmp_path, {"chief": WELL, "worker": killed}, shape=Shape(1))
    assert cluster.run() == 0


def test_who_does_not_see_that_the_chief_is_done_is_ended(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("expcore.launch.supervisor._SAVE_SECS", 0.5)
    waits = "import time; time.sleep(600)"
    cluster = Cluster(tmp_path, {"chief": WELL, "worker": waits}, shape=Shape(1))
    assert cluster.run() == 0
    assert "worker-0 still ran" in caplog.text


@pytest.mark.parametrize("code", [64, 65, 70, 73, 75])
def test_what_trying_again_would_not_mend_is_not_tried_again(tmp_path, code):
    marks = tmp_path / "marks"
    marks.mkdir()
    bad = ONCE.format(folder=str(marks), code=code, bad=9)
    cluster = Cluster(tmp_path, {"chief": bad}, shape=Shape(0), restarts=3)
    assert cluster.run() == code
    assert starts(marks) == [1]


def test_an_evaluator_is_started_again_alone(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    bad = ONCE.format(folder=str(marks), code=137, bad=1)
    chief = WAITS.format(folder=str(marks), times="2")
    shape = Shape(0, evaluators=1)
    cluster = Cluster(tmp_path, {"chief": chief, "evaluator": bad}, shape=shape, restarts=1)
    assert cluster.run() == 0
    assert cluster.said == [("chief-0", "seen")]


def test_a_signal_is_passed_on_and_waited_for(tmp_path):
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)"
    )
    cluster = Cluster(tmp_path, {"chief": program, "worker": program}, shape=Shape(1))

    def stop_when_ready(running):
        if [line for _, line in cluster.said].count("ready") == 2:
            cluster.supervisor.stop(signal.SIGTERM)

    assert cluster.run(stop_when_ready) == 143
    assert [line for _, line in cluster.said].count("saved") == 2


@linux
def test_what_a_task_has_started_ends_with_it(tmp_path):
    program = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],\n"
        "    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    )
    cluster = Cluster(tmp_path, {"chief": program}, shape=Shape(0))
    assert cluster.run() == 0
    (line,) = (line for _, line in cluster.said)
    wait_until(lambda: not alive(int(line)))


@linux
def test_nobody_is_left_where_the_launcher_is_killed(tmp_path):
    program = f"""
import sys
from pathlib import Path
from expcore.clock import RealClock
from expcore.launch import Shape, Supervisor
task = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
Supervisor(Shape(2), lambda _: [sys.executable, "-c", task], Path({str(tmp_path)!r}), restarts=0,
           clock=RealClock(), say=lambda name, line: print(line, flush=True)).run()
"""
    launcher = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(launcher.stdout.readline()) for _ in range(3)]
    assert all(map(alive, pids))
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not any(map(alive, pids)))
    launcher.stdout.close()


@linux
def test_what_tasks_have_started_ends_with_a_launcher_that_is_killed(tmp_path):
    program = f"""
import sys
from pathlib import Path
from expcore.clock import RealClock
from expcore.launch import Shape, Supervisor
task = '''
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
'''
Supervisor(Shape(1), lambda _: [sys.executable, "-c", task], Path({str(tmp_path)!r}), restarts=0,
           clock=RealClock(), say=lambda name, line: print(line, flush=True)).run()
"""
    launcher = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pids = [int(launcher.stdout.readline()) for _ in range(2)]
    assert all(map(alive, pids))
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not any(map(alive, pids)))
    launcher.stdout.close()


@pytest.mark.parametrize("unbuffered", ["", "1"])  # what is not taken is kept by Python or is not
@pytest.mark.parametrize("closes", ["2>&-", "2>/dev/full", "2>&1 | head -n 1"])
def test_logs_go_on_where_nobody_takes_what_is_shown(tmp_path, monkeypatch, closes, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "line.py").write_text(EXPERIMENT)
    command = (
        f"{sys.executable} -P -m expcore.cli launch line.py --workers 0 --output-dir runs --allow-server"
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {closes}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "done; step 20" in (tmp_path / "runs" / "expcore" / "launch" / "chief-0.log").read_text()


@pytest.fixture
def hangup_ends():
    """SIGHUP has its own effect in what is started, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@linux
@pytest.mark.usefixtures("hangup_ends")
def test_a_terminal_that_is_closed_lets_tasks_save(tmp_path):
    (tmp_path / "waits.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print('here', flush=True)\ntime.sleep(600)\n"
    )
    words = ["launch", "waits.py", "--workers", "0", "--output-dir", "runs", "--allow-server"]
    launcher = subprocess.Popen(
        [sys.executable, "-P", "-m", "expcore.cli", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert "here" in launcher.stderr.readline()
    launcher.send_signal(signal.SIGHUP)
    assert launcher.wait(30) == 129
    assert "saved" in launcher.stderr.read()
    launcher.stderr.close()


@linux
def test_a_network_of_ones_own_has_loopback_and_nothing_else():
    program = """
import socket
from expcore.launch import leave_network
from expcore.serving import other_interfaces
leave_network()
assert other_interfaces() == []
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), timeout=5).close()
print("well")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    if "a network of its own cannot be made" in done.stderr:
        pytest.skip("this system gives no network namespaces")
    assert done.stdout == "well\n", done.stderr


EXPERIMENT = """
import numpy as np

import expcore
from expcore.testing import NumpyEstimator


def data():
    x = np.linspace(0, 1, 8).reshape(4, 2)
    return [(x, x.sum(1))] * 50


def experiment(output_dir):
    config = expcore.RunConfig(model_dir=output_dir, save_checkpoints_steps=5)
    return expcore.Experiment(NumpyEstimator(config=config), data, data, train_steps=20, eval_steps=2)
"""


def test_the_command_runs_a_chief_and_an_evaluator(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    file = tmp_path / "line.py"
    file.write_text(EXPERIMENT)
    words = ["launch", str(file), "--workers", "0", "--evaluator", "--output-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    assert "[chief-0] done; checkpoint" in done.stderr  # it need not evaluate as well
    assert "[evaluator-0] done; step 20" in done.stderr
    assert (tmp_path / "runs" / "expcore" / "launch" / "chief-0.log").exists()


def test_the_command_names_the_first_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    (tmp_path / "fails.py").write_text("")  # it has no function experiment()
    words = ["launch", str(tmp_path / "fails.py"), "--workers", "0", "--output-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 64
    assert done.stderr.splitlines()[-1] == "expcore: chief-0 failed first, with exit code 64"


def test_a_second_launcher_of_a_directory_is_refused_and_leaves_the_logs_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    (tmp_path / "fails.py").write_text("")
    words = ["launch", str(tmp_path / "fails.py"), "--workers", "0", "--output-dir", str(tmp_path / "runs")]
    log = tmp_path / "runs" / "expcore" / "launch" / "chief-0.log"
    with launcher_lock(str(tmp_path / "runs")):
        log.write_text("of the first\n")
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 75
    assert f"process {os.getpid()} on " in done.stderr
    assert "runs a cluster in it; only one may" in done.stderr
    assert log.read_text() == "of the first\n"
    assert CliRunner().invoke(main, words).exit_code == 64  # it runs, once the other has ended


CHATTER = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795871801.797673    4146 port.cc:153] oneDNN custom operations are on.",
    "E0000 00:00:1795871807.774380    4144 cuda_platform.cc:52] failed call to cuInit: INTERNAL",
    "2026-11-28 13:16:47.774380: W tensorflow/core/some.cc:1] something",
    "Additional GRPC error information from remote target /job:worker/replica:0/task:0 while calling",
]
SHOWN = [
    "F0000 00:00:1795871801.797673    4146 some.cc:153] this ended the process",
    "I0000 is a line of mine",
    "13:16:47 INFO step 5",
]


@pytest.mark.parametrize("words", [[], ["--verbose"]], ids=str)
def test_tensorflows_own_lines_are_in_the_logs_alone_unless_all_is_asked_for(tmp_path, monkeypatch, words):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    file = tmp_path / "line.py"
    file.write_text(f"for line in {CHATTER + SHOWN}:\n    print(line, flush=True)\n{EXPERIMENT}")
    places = ["--workers", "0", "--output-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, ["launch", str(file), *places, *words])
    assert done.exit_code == 0, done.stderr
    log = (tmp_path / "runs" / "expcore" / "launch" / "chief-0.log").read_text()
    assert all(line in log for line in CHATTER + SHOWN)
    told = [line.removeprefix("[chief-0] ") for line in done.stderr.splitlines()]
    assert [line for line in CHATTER + SHOWN if line in told] == (CHATTER + SHOWN if words else SHOWN)


def test_who_lost_a_peer_is_not_named_where_the_peer_ends_a_little_later(tmp_path):
    later = "import sys, time; time.sleep(1); sys.exit(143)"
    cluster = Cluster(tmp_path, {"chief": "import sys; sys.exit(138)", "worker": later}, shape=Shape(1))
    assert cluster.run() == 143
    assert cluster.supervisor.first_failure == (Task("worker", 0), 143)


def test_who_lost_a_peer_that_goes_on_is_named_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.supervisor._CAUSE_SECS", 0.5)
    goes_on = "import time; time.sleep(600)"
    cluster = Cluster(tmp_path, {"chief": "import sys; sys.exit(138)", "worker": goes_on}, shape=Shape(1))
    assert cluster.run() == 138
    assert cluster.supervisor.first_failure == (Task("chief", 0), 138)


LEAVES = "import os, pathlib; pathlib.Path('gone', str(os.getpid())).touch()"
LAST = """
import os, sys, time
while len(os.listdir("gone")) < 2 or any(os.path.exists(f"/proc/{{pid}}") for pid in os.listdir("gone")):
    time.sleep(0.05)
sys.exit({code})
"""


@linux
@pytest.mark.parametrize(("code", "named"), [(138, True), (69, True), (64, False)])
def test_who_went_before_the_others_lost_it_is_named(tmp_path, monkeypatch, caplog, code, named):
    """Both workers have ended, and the launcher has seen it, before the chief fails."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    assert (
        Cluster(tmp_path, {"chief": LAST.format(code=code), "worker": LEAVES}, shape=Shape(2)).run() == code
    )
    assert ("worker-0, worker-1 had ended with exit code 0" in caplog.text) == named


def test_who_does_not_end_when_asked_to_is_killed_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("expcore.launch.supervisor._SAVE_SECS", 0.5)
    caplog.set_level("INFO")
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    )
    cluster = Cluster(tmp_path, {"chief": deaf}, shape=Shape(0))

    def stop_when_ready(running):
        if cluster.said:
            cluster.supervisor.stop(signal.SIGTERM)

    assert cluster.run(stop_when_ready) == 143
    assert "have 0.5 seconds to save" in caplog.text
    assert "chief-0 did not end within 0.5 seconds: it was killed" in caplog.text


def test_an_error_that_is_everybodys_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    (tmp_path / "fails.py").write_text("import time\ntime.sleep(1)\nraise ValueError('mine')")
    monkeypatch.setattr("expcore.launch.supervisor._LOOK_SECS", 3.0)  # all have failed when it looks
    words = ["launch", str(tmp_path / "fails.py"), "--workers", "2", "--output-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 64
    assert done.stderr.count("ValueError: mine") == 1
    for name in ("chief-0", "worker-0", "worker-1"):
        assert "ValueError: mine" in (tmp_path / "runs/expcore/launch" / f"{name}.log").read_text()


def test_a_folder_of_this_name_where_it_is_started_is_no_matter(tmp_path):
    (tmp_path / "expcore" / "launch").mkdir(parents=True)
    (tmp_path / "fails.py").write_text("")
    words = ["launch", "fails.py", "--workers", "0", "--output-dir", ".", "--allow-server"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "expcore.cli", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 64, done.stderr
    assert "chief-0 failed first, with exit code 64" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-v", "-q"], "exclude each other"),
        (["--ps", "1", "--workers", "0"], "ps and no worker"),
        (["--workers", "-1"], "-1"),
        (["-p", "best"], "no:NAME"),
    ],
)
def test_wrong_words_are_told_before_anything_is_started(tmp_path, monkeypatch, words, told):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: pytest.fail("too late"))
    done = CliRunner().invoke(main, ["launch", "line.py", "--output-dir", str(tmp_path / "runs"), *words])
    assert done.exit_code == 64
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


def test_signals_reach_the_supervisor_of_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("expcore.launch.leave_network", lambda: None)
    file = tmp_path / "waits.py"
    file.write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    done = CliRunner().invoke(
        main, ["launch", str(file), "--workers", "0", "--output-dir", str(tmp_path / "runs")]
    )
    timer.join()
    assert done.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before
