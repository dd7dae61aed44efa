"""Running an experiment that a function builds; R1 to R27 are the numbers of the acceptance list of 2017."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import InvalidArgument, InvalidType, StoppedBySignal
from expcore.experiment import Experiment
from expcore.hookspecs import hookimpl
from expcore.run import (
    SIGNALS,
    ConfigNotUsed,
    build_experiment,
    run_experiment,
    run_schedule,
    signals_interrupt,
    tune,
)
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator

CLUSTER = {"master": ["host0:1"], "worker": ["host1:1", "host2:1"], "ps": ["host3:1"]}

WITH_CHIEF = {"chief": ["host0:1"], "worker": ["host1:1"]}


def batches():
    return [([[1.0]], [1.0])] * 4


class Mine(Experiment):
    """An experiment with a schedule of its own and things that are none."""

    default_of_the_class = "not callable"

    def __init__(self, config, box, **arguments):
        super().__init__(
            NumpyEstimator(config=config, clock=VirtualClock()),
            batches,
            batches,
            plugins=box.host,
            clock=VirtualClock(),
            **arguments,
        )
        self.member = "not callable either"
        self.task = lambda: "a task of the object"

    def simple_task(self):
        return f"simple task in {self.model_dir}"

    def _hidden(self):
        return "hidden"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # model directories are named "model" and "out"


@pytest.fixture
def ran():
    return []


@pytest.fixture
def box(ran):
    """Every schedule only says that it ran."""
    box = PluginSandbox()
    for name in ("train", "evaluate", "continuous_eval", "train_and_evaluate", "run_std_server", "test"):

        def schedule(experiment, name=name):
            ran.append((name, experiment.model_dir))
            return f"{name} ran"

        box.add("schedules", name, schedule)
    return box


@pytest.fixture
def by_directory(box):
    return lambda output_dir: Mine(RunConfig(model_dir=output_dir), box)


@pytest.fixture
def by_config(box):
    return lambda run_config, hparams: Mine(run_config, box)


def config_of(kind, index=0, cluster=None):
    task = {"type": kind, "index": index}
    found = {"cluster": CLUSTER if cluster is None else cluster, "task": task}
    return RunConfig(model_dir="model", task=parse_tf_config(found))


# --- by output_dir ---------------------------------------------------------------------------------------


def test_r01_a_method_that_a_subclass_adds_is_a_schedule(by_directory, ran):
    assert run_experiment(by_directory, "out", "simple_task") == "simple task in out"
    assert run_experiment(by_directory, "out", "task") == "a task of the object"
    assert ran == []


def test_r02_an_older_name_is_a_schedule(by_directory, ran):
    assert run_experiment(by_directory, output_dir="out", schedule="local_run") == "train_and_evaluate ran"
    assert ran == [("train_and_evaluate", "out")]


def test_r03_output_dir_and_run_config_together_are_a_value_error(by_directory):
    with pytest.raises(ValueError, match="Cannot provide both `output_dir` and `run_config`"):
        run_experiment(by_directory, output_dir="out", run_config=RunConfig(model_dir="out"))


def test_r04_an_empty_output_dir_is_a_value_error(by_directory):
    with pytest.raises(ValueError, match="Must specify an output directory"):
        run_experiment(by_directory, output_dir="")


def test_r05_neither_is_a_value_error(by_directory):
    with pytest.raises(ValueError, match="Must set value for `output_dir` or `run_config`"):
        run_experiment(by_directory)


def test_r06_hparams_with_output_dir_are_a_value_error(by_directory):
    with pytest.raises(ValueError, match="Must set `hparams` as None"):
        run_experiment(by_directory, output_dir="out", hparams={"rate": 1})


@pytest.mark.parametrize("options", [{"output_dir": "out"}, {"run_config": RunConfig(model_dir="out")}])
def test_r07_r17_a_builder_that_cannot_be_called_is_a_type_error(options):
    with pytest.raises(TypeError, match="Experiment builder 'nothing' is not callable"):
        run_experiment("nothing", **options)


@pytest.mark.parametrize("options", [{"output_dir": "out"}, {"run_config": RunConfig(model_dir="out")}])
@pytest.mark.parametrize("built", [None, "experiment", Experiment])
def test_r08_r18_a_builder_that_returns_something_else_is_a_type_error(options, built):
    with pytest.raises(TypeError, match="did not return an Experiment instance"):
        run_experiment(lambda *_, **__: built, **options)


@pytest.mark.parametrize("name", ["mirage", "_hidden", "extend_train_hooks", "wait", "run", "", "a b"])
def test_r09_r19_an_unknown_schedule_is_a_value_error(by_directory, by_config, name):
    with pytest.raises(ValueError, match=f"non-existent task '{name}'"):
        run_experiment(by_directory, "out", name)
    with pytest.raises(InvalidArgument, match="installed schedules are 'continuous_eval', 'evaluate'"):
        run_experiment(by_config, run_config=RunConfig(model_dir="out"), schedule=name)


@pytest.mark.parametrize("name", ["member", "default_of_the_class", "estimator", "train_steps", "timed_out"])
def test_r10_r19_a_member_that_cannot_be_called_is_a_type_error(by_directory, by_config, name):
    with pytest.raises(TypeError, match=f"non-callable member '{name}'"):
        run_experiment(by_directory, "out", name)
    with pytest.raises(InvalidType):
        run_experiment(by_config, run_config=RunConfig(model_dir="out"), schedule=name)


# --- by run_config ---------------------------------------------------------------------------------------


def test_r11_r13_with_a_run_config_the_schedule_runs_on_its_directory(by_config, ran):
    config = RunConfig(model_dir="model")
    assert run_experiment(by_config, run_config=config, schedule="simple_task") == "simple task in model"
    assert run_experiment(by_config, run_config=config, schedule="local_run") == "train_and_evaluate ran"
    assert ran == [("train_and_evaluate", "model")]


def test_r12_the_builder_is_given_the_run_config_and_the_hparams(box):
    class HParams:
        def values(self):
            return {"rate": 1}

    for hparams in (None, {"rate": 1}, HParams()):
        seen = []
        config = RunConfig(model_dir="model")
        build_experiment(
            lambda c, h: seen.append((c, h)) or Mine(c, box),  # noqa: B023
            run_config=config,
            hparams=hparams,
        )
        assert seen == [(config, hparams)]


def test_r14_a_run_config_without_a_model_dir_is_a_value_error(by_config):
    with pytest.raises(ValueError, match="`run_config` has no model_dir"):
        run_experiment(by_config, run_config=RunConfig())


def test_r15_a_run_config_of_another_type_is_a_value_error(by_config):
    with pytest.raises(ValueError, match=r"`run_config` is 'wrong'; it must be an expcore\.RunConfig"):
        run_experiment(by_config, run_config="wrong")


def test_r16_hparams_of_another_type_are_a_value_error(by_config):
    with pytest.raises(ValueError, match="`hparams` is 5; it must be a mapping"):
        run_experiment(by_config, run_config=RunConfig(model_dir="m"), hparams=5)


def test_r20_an_estimator_with_another_configuration_is_a_runtime_error(box):
    def build(run_config, hparams):
        return Mine(run_config.replace(model_dir="elsewhere", start_server=True), box)

    with pytest.raises(RuntimeError, match="differs in 'model_dir', 'start_server'") as caught:
        run_experiment(build, run_config=RunConfig(model_dir="model"))
    assert isinstance(caught.value, ConfigNotUsed)


def test_r20_what_is_about_checkpoints_logs_and_seeds_may_be_changed(box):
    def build(run_config, hparams):
        changed = run_config.replace(save_checkpoints_steps=3, random_seed=5, log_step_count_steps=None)
        return Mine(changed, box)

    assert run_experiment(build, run_config=RunConfig(model_dir="model")) == "train_and_evaluate ran"


@pytest.mark.parametrize(
    ("uid", "message"),
    [(None, r"which has no uid\(\)"), (lambda: "text", "differs in 'model_dir'")],
)
def test_r20_a_config_of_another_kind_is_a_runtime_error(box, uid, message):
    class Config:
        pass

    config = Config()
    if uid:
        config.uid = uid

    def build(run_config, hparams):
        experiment = Mine(run_config, box)
        experiment.estimator.config = config
        return experiment

    with pytest.raises(ConfigNotUsed, match=message):
        run_experiment(build, run_config=RunConfig(model_dir="model"))


# --- the schedule of the task ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "schedule"),
    [
        pytest.param(config_of("worker", 1), "train", id="r21"),
        pytest.param(config_of("master"), "train_and_evaluate", id="r22"),
        pytest.param(config_of("ps"), "run_std_server", id="r23"),
        pytest.param(RunConfig(model_dir="model"), "train_and_evaluate", id="r24"),
        pytest.param(config_of("worker", 0, {"worker": ["h:1"]}), "train_and_evaluate", id="r25"),
        pytest.param(config_of("chief", 0, WITH_CHIEF), "train_and_evaluate", id="chief"),
        pytest.param(config_of("evaluator", 0, WITH_CHIEF), "continuous_eval", id="evaluator"),
    ],
)
def test_the_schedule_of_the_task_is_the_default(by_config, ran, config, schedule):
    assert run_experiment(by_config, run_config=config) == f"{schedule} ran"
    assert ran == [(schedule, "model")]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("strange", "No default schedule for task type: 'strange'", id="r26"),
        pytest.param(None, "Must specify a schedule", id="r27"),
    ],
)
def test_a_task_without_a_default_schedule_is_a_value_error(box, kind, message):
    class Config:
        task_type, cluster_spec = kind, CLUSTER

    experiment = Mine(RunConfig(model_dir="model"), box)
    experiment.estimator.config = Config()
    with pytest.raises(ValueError, match=message):
        run_schedule(experiment)


def test_no_config_at_all_is_a_process_on_its_own(box, ran):
    experiment = Mine(RunConfig(model_dir="model"), box)
    experiment.estimator.config = None
    assert run_schedule(experiment) == "train_and_evaluate ran"


def test_the_order_of_the_checks(by_directory):
    """Both before builder, builder before directory, and so on: the first thing that is wrong is told."""
    with pytest.raises(InvalidArgument, match="Cannot provide both"):
        run_experiment("not callable", output_dir="", run_config="wrong", hparams=5)
    with pytest.raises(InvalidArgument, match="Must set value"):
        run_experiment("not callable", hparams=5)
    with pytest.raises(InvalidType, match="not callable"):
        run_experiment("not callable", output_dir="", hparams=5)
    with pytest.raises(InvalidArgument, match="Must specify an output directory"):
        run_experiment(by_directory, output_dir="", hparams=5)
    with pytest.raises(InvalidArgument, match=r"must be an expcore\.RunConfig"):
        run_experiment(by_directory, run_config=object(), hparams=5)
    with pytest.raises(InvalidArgument, match="no model_dir"):
        run_experiment(by_directory, run_config=RunConfig(), hparams=5)


# --- plugins' schedules ----------------------------------------------------------------------------------


def test_an_installed_schedule_runs_by_name_also_one_called_like_a_method_that_is_none(by_directory, box):
    box.add("schedules", "strange", lambda experiment: "strange ran")
    box.add("schedules", "wait", lambda experiment: "the schedule wait ran")
    box.add("schedules", "history", lambda experiment: "the schedule history ran")
    assert run_experiment(by_directory, "out", "strange") == "strange ran"
    assert run_experiment(by_directory, "out", "wait") == "the schedule wait ran"
    assert run_experiment(by_directory, "out", "history") == "the schedule history ran"


def test_a_qualified_name_runs_the_one_of_that_distribution(by_directory, box):
    box.add("schedules", "same", lambda experiment: "a's", dist="a")
    box.add("schedules", "same", lambda experiment: "b's", dist="b")
    assert run_experiment(by_directory, "out", "b:same") == "b's"


def test_a_schedule_that_a_plugin_works_out_at_run_time_runs(by_directory, box):
    class Plugin:
        @hookimpl
        def expcore_schedules(self):
            return {"late": lambda experiment: "late ran"}

    box.add("plugins", "works_it_out", Plugin)  # imported at the start of a run, and not before
    assert run_experiment(by_directory, "out", "late") == "late ran"


def test_a_subclass_that_has_its_own_method_of_a_schedules_name_is_asked(box, ran):
    class Own(Mine):
        def train(self, *args, **options):
            return ["own", super().train(*args, **options)]

    experiment = Own(RunConfig(model_dir="model"), box)
    assert run_schedule(experiment, "train") == ["own", "train ran"]


def test_a_schedule_that_is_switched_off_is_told_as_such():
    box = PluginSandbox(builtins=True, disable=["schedules/train"])
    with pytest.raises(
        ValueError, match=r"schedule 'train': expcore .* is switched off by 'schedules/train'"
    ):
        run_schedule(Mine(RunConfig(model_dir="model"), box), "train")


# --- signals ---------------------------------------------------------------------------------------------


@pytest.fixture
def handlers():
    """Those of a command in a terminal, also where the tests run in the background, with SIGINT ignored."""
    outer = {s: signal.getsignal(s) for s in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield {s: signal.getsignal(s) for s in SIGNALS}
    for signum, handler in outer.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_asks_for_the_end_and_the_handlers_are_put_back(box, handlers, signum):
    experiment = Mine(RunConfig(model_dir="model"), box)
    with signals_interrupt(experiment):
        assert {signal.getsignal(s) for s in SIGNALS} != set(handlers.values())
        assert experiment.signalled is None
        os.kill(os.getpid(), signum)
        assert experiment.signalled == signum
        assert signal.getsignal(signum) == handlers[signum], "a second one ends it at once"
    assert {s: signal.getsignal(s) for s in SIGNALS} == handlers


def test_a_second_signal_is_the_former_handlers(box, handlers):
    experiment = Mine(RunConfig(model_dir="model"), box)
    with signals_interrupt(experiment):
        os.kill(os.getpid(), signal.SIGINT)
        assert experiment.signalled == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert {s: signal.getsignal(s) for s in SIGNALS} == handlers


def test_handlers_are_put_back_after_an_error_as_well(by_directory, box, handlers):
    def schedule(experiment):
        raise KeyError

    box.add("schedules", "broken", schedule)
    with pytest.raises(KeyError):
        run_experiment(by_directory, "out", "broken")
    assert {s: signal.getsignal(s) for s in SIGNALS} == handlers


def test_a_handler_that_python_did_not_set_counts_as_the_systems_own(box, handlers, monkeypatch):
    asked = []

    def fake(signum, handler):
        asked.append((signum, handler))

    monkeypatch.setattr(signal, "signal", fake)
    with signals_interrupt(Mine(RunConfig(model_dir="model"), box)):
        asked.clear()
    assert asked == [(s, signal.SIG_DFL) for s in SIGNALS]


def test_outside_of_the_main_thread_no_handler_is_touched(box, handlers):
    seen = []

    def body():
        with signals_interrupt(Mine(RunConfig(model_dir="model"), box)):
            seen.append({s: signal.getsignal(s) for s in SIGNALS})

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [handlers]


def test_a_signal_ends_run_experiment_with_code_128_and_its_number(tmp_path, handlers):
    def train(experiment):
        os.kill(os.getpid(), signal.SIGTERM)
        experiment.wait(5)

    box = PluginSandbox().add("schedules", "train", train)
    with pytest.raises(StoppedBySignal) as caught:
        run_experiment(lambda output_dir: Mine(RunConfig(model_dir=output_dir), box), str(tmp_path), "train")
    assert (caught.value.code, caught.value.signum) == (143, 15)
    assert isinstance(caught.value, SystemExit)


def test_a_plain_script_ends_with_that_code_and_no_traceback(tmp_path):
    script = """
import os, signal, sys
from expcore.experiment import Experiment
from expcore.run import run_experiment
from expcore.testing import PluginSandbox
from expcore.testing.numpy_estimator import NumpyEstimator

class Hook:
    def next_step(self, step):
        return 3 if step < 3 else None
    def after_steps(self, run):
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            run.request_save()

data = lambda: (([[1.0]], [1.0]) for _ in range(10**9))
box = PluginSandbox(builtins=True, disable=["plugins/default_hooks"])
run_experiment(
    lambda output_dir: Experiment(
        NumpyEstimator(output_dir), data, data, train_hooks=[Hook()], plugins=box.host
    ),
    sys.argv[1],
)
print("not reached")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (143, "")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "ckpt-3.json").exists()


# --- tune ------------------------------------------------------------------------------------------------


class Tuner:
    def __init__(self, trials):
        self.trials, self.built = list(trials), []

    def next_trial(self):
        return bool(self.trials)

    def run_experiment(self, experiment_fn):
        self.built.append(experiment_fn(*self.trials.pop(0)))


def test_tune_runs_every_trial_with_a_checked_builder(by_config):
    tuner = Tuner([(RunConfig(model_dir=str(n)), {"n": n}) for n in range(3)])
    assert tune(by_config, tuner) is None
    assert [experiment.model_dir for experiment in tuner.built] == ["0", "1", "2"]


def test_tune_without_trials_builds_nothing(by_config):
    tuner = Tuner([])
    tune(by_config, tuner)
    assert tuner.built == []


def test_a_trial_needs_hparams_and_uses_its_config(by_config, box):
    with pytest.raises(ValueError, match="`hparams` cannot be `None`"):
        tune(by_config, Tuner([(RunConfig(model_dir="m"), None)]))
    with pytest.raises(ValueError, match="no model_dir"):
        tune(by_config, Tuner([(RunConfig(), {})]))
    with pytest.raises(RuntimeError, match="differs in 'model_dir'"):
        tune(
            lambda config, hparams: Mine(RunConfig(model_dir="other"), box),
            Tuner([(RunConfig(model_dir="m"), {})]),
        )
    with pytest.raises(TypeError, match="is not callable"):
        tune(None, Tuner([]))
