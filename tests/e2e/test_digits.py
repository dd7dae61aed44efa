"""The digits with the real Keras estimator: all eight schedules from the command line, demo and config."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from expcore.events import LogReader
from expcore.history import History

pytestmark = [pytest.mark.e2e, pytest.mark.tf, pytest.mark.timeout(200)]

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
EXPCORE = str(Path(sys.executable).with_name("expcore"))
DEADLINE_SECS = 150

SHORT = f'''
"""The digits of the examples, saved every 50 steps and ended by the environment's STEPS."""
import os, sys
sys.path.insert(0, {str(DIGITS)!r})
import expcore
import experiment as digits
from expcore_plugins.estimators.keras import KerasEstimator

def experiment(output_dir):
    whole = digits.experiment(output_dir)
    config = whole.config.replace(save_checkpoints_steps=50)
    steps = os.environ.get("STEPS")
    return expcore.Experiment(
        KerasEstimator(digits.model, config=config), whole.train_input_fn, whole.eval_input_fn,
        train_steps=int(steps) if steps else None,
        eval_steps=whole.eval_steps, eval_every_n_steps=20, train_steps_per_iteration=20,
        continuous_eval_throttle_secs=0, export_strategies=whole.export_strategies)
'''

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
os.execv(sys.argv[1], sys.argv[1:])
"""
"""What ``ip link set lo up; exec ...`` does, also where there is no ``ip``."""

ALONE = ["unshare", *(() if os.geteuid() == 0 else ("-r",)), "-n"]


class Command:
    """A command in a process of its own; its output is read line by line, and it never outlives the test."""

    def __init__(self, *args, before=(), **environ):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "TF_CONFIG"))}
        self._process = subprocess.Popen(
            [*before, *map(str, args)],
            env={**env, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._guard = threading.Timer(DEADLINE_SECS, self._process.kill)
        self._guard.daemon = True
        self._guard.start()
        self.output = ""

    def until(self, words):
        """Reads to the first line with the words and returns it."""
        for line in self._process.stdout:
            self.output += line
            if words in line:
                return line
        raise AssertionError(f"it ended ({self.ended()}) without saying {words!r}:\n{self.output}")

    def send(self, signum):
        self._process.send_signal(signum)

    def ended(self):
        """Reads to the end and returns the exit code."""
        with self._process:
            self.output += self._process.stdout.read()
        self._guard.cancel()
        assert "Traceback" not in self.output, self.output
        return self._process.returncode


def run(file, output_dir, *options, **environ):
    return Command(EXPCORE, "run", file, "--output-dir", output_dir, *options, **environ)


def finished(command):
    assert command.ended() == 0, command.output
    return command.output


def history(output_dir):
    return History(LogReader(str(output_dir)).read(), str(output_dir))


def told(output):
    """The metrics of the last line, with the step."""
    step, metrics = re.search(r"^done; step (\d+): ([^;]*);", output, re.MULTILINE).groups()
    return int(step), dict(pair.split("=") for pair in metrics.split(", "))


def versions(output_dir, exporter):
    folder = Path(output_dir) / "export" / exporter
    return sorted(int(path.name) for path in folder.iterdir()) if folder.is_dir() else []


def files(output_dir):
    """A digest of every file but the log's."""
    return {
        str(path.relative_to(output_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(output_dir).rglob("*"))
        if path.is_file() and path.parent.name != "expcore"
    }


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    path = tmp_path_factory.mktemp("short") / "short.py"
    path.write_text(SHORT)
    return path


# --- train and continuous_eval ------------------------------------------------------------------------


class Life:
    """A training that a signal stops and a second one finishes, while an evaluator follows from outside."""

    def __init__(self, file, output_dir):
        self.file, self.output_dir = file, output_dir
        evaluator = run(file, output_dir, "--schedule", "continuous_eval")
        first = run(file, output_dir, "--schedule", "train")
        first.until("saved ")
        first.send(signal.SIGTERM)
        self.first_code, self.first = first.ended(), first.output
        evaluator.until("evaluation at step")  # it has seen the first training, and goes on waiting
        self.stopped_at = history(output_dir).saves[-1].step
        self.steps = self.stopped_at + 60
        second = run(file, output_dir, "--schedule", "train", STEPS=str(self.steps))
        self.second = finished(second)
        self.evaluator = finished(evaluator)
        self.history = history(output_dir)


@pytest.fixture(scope="module")
def life(short, tmp_path_factory):
    return Life(short, tmp_path_factory.mktemp("life") / "out")


def test_train_stopped_by_sigterm_saves_its_state_and_ends_with_143(life):
    assert life.first_code == 143, life.first
    assert "expcore: stopped by SIGTERM; the same command goes on from the last saved state" in life.first
    stopped, finished_ = life.history.training_ends
    assert (stopped.reason, stopped.over, stopped.step) == ("signal", False, life.stopped_at)
    assert finished_.over
    assert f"saved {life.output_dir}/ckpt-{life.stopped_at}\n" in life.first


def test_train_goes_on_from_there_to_its_end(life):
    assert f"step {life.stopped_at}\n" in life.second
    assert life.history.trainings[1].step == life.stopped_at
    end = life.history.training_ends[1]
    assert (end.reason, end.step, end.steps) == ("max_steps", life.steps, 60)
    assert f"done; checkpoint {life.output_dir}/ckpt-{life.steps}" in life.second


def test_continuous_eval_in_another_process_outlives_the_stop_and_ends_with_the_training(life):
    step, _ = told(life.evaluator)
    assert step == life.steps
    evaluated = [e.checkpoint for e in life.history.evaluations]
    assert len(evaluated) == len(set(evaluated))
    assert evaluated[-1] == life.history.saves[-1].id
    assert "training ended (max_steps) and its last checkpoint is evaluated" in life.evaluator


def test_continuous_eval_exports_the_latest_and_the_best(life):
    latest = [e for e in life.history.exports if e.exporter == "latest"]
    assert latest[-1].step == life.steps
    assert len(versions(life.output_dir, "latest")) == min(2, len(latest))
    best = [e for e in life.history.exports if e.exporter == "best"]
    assert best[-1].checkpoint == life.history.best("accuracy", "max").checkpoint
    for name in ("best", "latest"):
        for version in versions(life.output_dir, name):
            assert (life.output_dir / "export" / name / str(version) / "saved_model.pb").exists()


def test_train_again_says_that_it_is_done_and_makes_no_step(life):
    before = files(life.output_dir)
    output = finished(run(life.file, life.output_dir, "--schedule", "train", STEPS=str(life.steps)))
    assert f"training is complete: step {life.steps} of {life.steps} is reached, no step is made" in output
    assert files(life.output_dir) == before


# --- schedules on a finished training -----------------------------------------------------------------


def test_evaluate_gives_the_recorded_result_again_and_never_exports(life):
    exports = [versions(life.output_dir, name) for name in ("best", "latest")]
    output = finished(run(life.file, life.output_dir, "--schedule", "evaluate", STEPS=str(life.steps)))
    assert told(output) == told(life.evaluator)
    assert [versions(life.output_dir, name) for name in ("best", "latest")] == exports


def test_continuous_eval_on_train_data_evaluates_the_last_checkpoint_once_and_ends(life):
    output = finished(
        run(
            *(life.file, life.output_dir, "--schedule", "continuous_eval_on_train_data"),
            STEPS=str(life.steps),
        )
    )
    (evaluation,) = history(life.output_dir).train_evaluations
    assert evaluation.step == life.steps
    assert told(output)[0] == life.steps
    assert evaluation.metrics != life.history.evaluations[-1].metrics
    assert list((life.output_dir / "eval_on_train_data").glob("events.out.tfevents.*"))


def test_the_schedule_test_leaves_the_directory_untouched(life):
    before, exports = files(life.output_dir), len(history(life.output_dir).exports)
    output = finished(run(life.file, life.output_dir, "--schedule", "test"))
    assert "one step was trained and evaluated, 2 of 2 exporters wrote" in output
    assert told(output)[0] == 1
    assert files(life.output_dir) == before
    after = history(life.output_dir)
    assert len(after.exports) == exports
    assert after.saves[-1].step == life.steps


def test_continuous_train_and_evaluate_ends_exactly_at_train_steps(short, tmp_path):
    output = finished(run(short, tmp_path, "--schedule", "continuous_train_and_evaluate", STEPS="50"))
    seen = history(tmp_path)
    assert [e.step for e in seen.evaluations] == [20, 40, 50]
    assert told(output)[0] == 50
    assert [e.final for e in seen.exports if e.exporter == "latest"] == [False, False, True]
    (end,) = seen.training_ends
    assert (end.step, end.over) == (50, True)


# --- the demo: train_and_evaluate ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("demo") / "digits"
    return output_dir, finished(Command(sys.executable, DIGITS / "demo.py", output_dir))


def test_the_demo_serves_the_best_model_without_expcore_at_97_percent_or_more(demo):
    output_dir, output = demo
    accuracy, images = re.search(r"^accuracy ([\d.]+) on (\d+) test images", output, re.MULTILINE).groups()
    assert float(accuracy) >= 0.97
    assert int(images) == 360
    best = history(output_dir).best("accuracy", "max")
    assert float(accuracy) == pytest.approx(best.metrics["accuracy"], abs=1e-4)


def test_the_demo_says_where_everything_lies(demo):
    output_dir, output = demo
    (best,) = re.findall(r"^the best model +(\S+)$", output, re.MULTILINE)
    assert Path(best, "saved_model.pb").exists()
    assert versions(output_dir, "latest")
    for pattern in ("ckpt-*.index", "expcore/events-*.jsonl", "events.out.tfevents.*", "eval/events.out.*"):
        assert list(output_dir.glob(pattern)), pattern
    assert "\r" not in output  # the progress bar is for terminals


def test_the_demo_evaluates_every_200_steps_and_stops_early_or_at_4000(demo):
    output_dir, _ = demo
    seen = history(output_dir)
    steps = [e.step for e in seen.evaluations]
    assert steps == list(range(200, steps[-1] + 1, 200))
    (end,) = seen.training_ends
    assert end.step == steps[-1]
    assert end.reason == "max_steps" if end.step == 4000 else end.reason.startswith("early_stopping: ")
    bests = [e for e in seen.exports if e.exporter == "best"]
    assert bests[-1].checkpoint == seen.best("accuracy", "max").checkpoint


def test_the_config_evaluates_the_demos_last_checkpoint_to_the_recorded_result(demo):
    output_dir, _ = demo
    options = ("--allow-imports", "--schedule", "evaluate")
    step, metrics = told(finished(run(DIGITS / "experiment.yaml", output_dir, *options)))
    recorded = history(output_dir).evaluations[-1]
    assert step == recorded.step
    assert metrics == {
        name: f"{value:.4g}" for name, value in recorded.metrics.items() if name != "global_step"
    }


def test_the_config_gives_what_the_python_file_gives(tmp_path):
    code = f"""
import json, sys
sys.path.insert(0, {str(DIGITS)!r})
import experiment, expcore
file = experiment.experiment({str(tmp_path)!r})
config = expcore.create_experiment({str(DIGITS / "experiment.yaml")!r}, output_dir={str(tmp_path)!r},
                                   allow_imports=True)
def plain(value):
    if value is None or isinstance(value, (str, int, float)):
        return value
    own = {{k: plain(v) for k, v in vars(value).items()}} if hasattr(value, "__dict__") else None
    return [type(value).__qualname__, own]
def told(made):
    parts = [*made.export_strategies, *made.train_hooks, made.config]
    return [made.describe(), [plain(part) for part in parts]]
print(json.dumps([told(file), told(config)]))
"""
    output = finished(Command(sys.executable, "-c", code))
    file, config = json.loads(output.splitlines()[-1])
    assert config == file
    assert list(file[0]["exporters"]) == ["best", "latest"]


# --- run_std_server -----------------------------------------------------------------------------------


def server_config():
    with socket.socket() as free, socket.socket() as other:
        free.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ps, worker = (f"127.0.0.1:{s.getsockname()[1]}" for s in (free, other))
    cluster = {"ps": [ps], "worker": [worker], "chief": ["127.0.0.1:1"]}
    return ps, json.dumps({"cluster": cluster, "task": {"type": "ps", "index": 0}})


def test_a_parameter_server_on_loopback_serves_in_a_namespace_of_its_own_until_a_signal(tmp_path):
    tried = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this system permits no network namespace: {tried.stderr.strip()}")
    address, tf_config = server_config()
    # No schedule is named: that of a parameter server is run_std_server.
    server = Command(
        *(EXPCORE, "run", DIGITS / "experiment.py", "--output-dir", tmp_path / "out"),
        before=[*ALONE, sys.executable, "-c", LOOPBACK_UP],
        TF_CONFIG=tf_config,
    )
    line = server.until("the TensorFlow server of ps 0")
    assert f":{address.rpartition(':')[2]}" in line
    server.send(signal.SIGTERM)
    assert server.ended() == 143, server.output
    assert "expcore: stopped by SIGTERM" in server.output
    assert not list((tmp_path / "out").glob("ckpt-*"))


def test_a_parameter_server_on_loopback_is_refused_where_others_could_reach_it(tmp_path):
    if [name for _, name in socket.if_nameindex() if name != "lo"] == []:
        pytest.skip("this machine has no other network interface than loopback")
    _, tf_config = server_config()
    command = run(
        *(DIGITS / "experiment.py", tmp_path / "out", "--schedule", "run_std_server"), TF_CONFIG=tf_config
    )
    assert command.ended() == 69, command.output
    (error,) = re.findall(r"^expcore: error: (.*)$", command.output, re.MULTILINE)
    assert "every interface" in error
    assert "--allow-server" in error
