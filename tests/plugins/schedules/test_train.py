"""The schedule train: delays, the server, and the training itself."""

from __future__ import annotations

import math

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import InvalidArgument, ServerUnavailable, StoppedBySignal
from expcore.events import LogReader
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore_plugins.schedules import server

CLUSTER = {"chief": ["h0:1"], "worker": [f"h{n}:1" for n in range(1, 20)]}


def data():
    return [([[1.0]], [1.0])] * 8


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def box():
    return PluginSandbox(builtins=True, disable=["plugins/default_hooks"])


@pytest.fixture
def make(tmp_path, clock, box):
    def experiment(kind=None, index=0, config=None, **arguments):
        task = None
        if kind:
            task = parse_tf_config({"cluster": CLUSTER, "task": {"type": kind, "index": index}})
        found = RunConfig(model_dir=str(tmp_path), task=task, **(config or {}))
        return Experiment(
            NumpyEstimator(config=found, clock=clock),
            data,
            data,
            plugins=box.host,
            clock=clock,
            **arguments,
        )

    return experiment


def test_it_trains_up_to_train_steps_and_returns_the_estimator(make):
    experiment = make(train_steps=5)
    assert experiment.train() is experiment.estimator
    assert experiment.latest_checkpoint().step == 5
    assert experiment.history.evaluations == ()


@pytest.mark.parametrize(
    ("n", "config", "steps"),
    [
        (2, {}, [2, 4, 5]),
        (1, {}, [5]),
        (0, {}, [5]),
        (None, {}, [5]),
        (2, {"save_checkpoints_steps": 3}, [3, 5]),
        (2, {"save_checkpoints_secs": None}, [5]),
    ],
)
def test_it_saves_as_often_as_others_are_to_evaluate_unless_the_config_has_a_rhythm(make, n, config, steps):
    experiment = make(config=config, train_steps=5, eval_every_n_steps=n)
    experiment.train()
    assert [checkpoint.step for checkpoint in experiment.history.saves] == steps


def test_a_worker_of_its_own_saves_nothing_for_them(make):
    experiment = make("worker", 0, train_steps=5, eval_every_n_steps=2)
    experiment.train()
    assert experiment.history.saves == ()


@pytest.mark.parametrize(
    ("kind", "index", "secs"),
    [
        (None, 0, 0),
        ("chief", 0, 0),
        ("worker", 0, 0),
        ("worker", 1, 5),
        ("worker", 3, 15),
        ("worker", 15, 60),
    ],
)
def test_workers_start_one_after_the_other(make, clock, kind, index, secs):
    make(kind, index, train_steps=2).train()
    assert clock.time() == secs


@pytest.mark.parametrize("delay", [0, 3, 2.5, 100])
def test_an_explicit_delay_turns_both_rules_off(make, clock, delay):
    make("worker", 3, train_steps=2).train(delay_secs=delay)
    make("worker", 3, train_steps=4, delay_workers_by_global_step=True).train(delay_secs=delay)
    assert clock.time() == 2 * delay


def test_under_a_synchronous_strategy_nobody_waits_unless_asked(make, clock):
    make("worker", 3, {"train_distribute": "a strategy"}, train_steps=2).train()
    assert clock.time() == 0
    make("worker", 3, {"train_distribute": "a strategy"}, train_steps=4).train(delay_secs=4)
    assert clock.time() == 4


def test_under_a_synchronous_strategy_waiting_for_a_step_would_be_for_ever_and_is_refused(make, tmp_path):
    experiment = make("worker", 3, {"train_distribute": "a strategy"}, delay_workers_by_global_step=True)
    with pytest.raises(InvalidArgument, match="one that waits for a global step waits for itself"):
        experiment.train()
    assert experiment.latest_checkpoint() is None


@pytest.mark.parametrize(("index", "step"), [(0, 0), (1, 5545), (2, 8788), (3, 11090), (4, 12875)])
def test_delayed_by_global_step_a_worker_waits_for_the_step_of_its_number(make, clock, box, index, step):
    made = []

    class Waiter:
        def begin(self, run):
            made[-1] += (run.step,)

    def waiter(wait_until_step):
        made.append((wait_until_step,))
        return Waiter()

    box.add("hooks", "global_step_waiter", waiter, dist="stranger")
    make("worker", index, train_steps=2, delay_workers_by_global_step=True).train()
    assert made == ([(step, 0)] if step else [])
    assert step == int(8000 * math.log(index + 1))
    assert clock.time() == 0, "seconds are not waited as well"


def test_it_really_waits_until_the_log_has_that_step(make, clock, box):
    chief = make("chief", train_steps=20)
    waited = []

    def sleep(secs, wait=clock.sleep):
        wait(secs)
        if not waited:
            waited.append(clock.time())
            chief.train()

    clock.sleep = sleep
    worker = make("worker", 1, train_steps=8, delay_workers_by_global_step=True)
    worker.train()
    assert waited == [0.5]
    assert [e.step for e in worker.history.training_ends] == [8]


def test_a_signal_ends_a_worker_that_waits_for_a_step(make, clock):
    worker = make("worker", 1, train_steps=8, delay_workers_by_global_step=True)

    def sleep(secs, wait=clock.sleep):
        wait(secs)
        assert clock.time() < 60
        if clock.time() == 10:
            worker.interrupt(15)

    clock.sleep = sleep
    with pytest.raises(StoppedBySignal):
        worker.train()
    assert worker.latest_checkpoint() is None


@pytest.mark.parametrize("wrong", [-1, "soon", True])
def test_a_wrong_delay_is_told(make, wrong):
    with pytest.raises(InvalidArgument, match="`delay_secs` must be seconds, 0 or more"):
        make().train(delay_secs=wrong)


@pytest.mark.parametrize(("takes", "total"), [(0, 5), (2, 5), (9, 9)])
def test_the_server_starts_before_the_wait_and_its_time_counts(make, clock, monkeypatch, takes, total):
    started = []

    def start(config):
        started.append((config.task_type, clock.time()))
        clock.sleep(takes)

    monkeypatch.setattr("expcore_plugins.schedules.train.start_server", start)
    make("worker", 1, {"start_server": True}, train_steps=2).train()
    assert started == [("worker", 0)]
    assert clock.time() == total


def test_no_server_is_started_unless_the_config_says_so(make, monkeypatch):
    monkeypatch.setattr(server, "_start", lambda *_: pytest.fail("started"))
    make("worker", 1, train_steps=2).train(delay_secs=0)


def test_a_server_without_a_cluster_or_not_allowed_ends_it_before_any_step(make, monkeypatch):
    with pytest.raises(InvalidArgument, match="the config lacks 'cluster_spec'"):
        make(config={"start_server": True}, train_steps=2).train()

    def refuse(*_):
        raise ServerUnavailable("taken")

    monkeypatch.setattr(server, "_start", refuse)
    experiment = make("chief", config={"start_server": True}, train_steps=2)
    with pytest.raises(ServerUnavailable):
        experiment.train()
    assert experiment.latest_checkpoint() is None


def test_it_never_exports_what_was_missed(make):
    class Exporter:
        name = "mine"

        def export(self, *args, **kwargs):
            pytest.fail("it exported")

    make(train_steps=2).train()
    make().evaluate()
    make(train_steps=4, export_strategies=Exporter()).train()


def test_its_options_are_recorded(make, tmp_path):
    make(train_steps=2).train(delay_secs=0)
    started = LogReader(str(tmp_path)).read()[0]
    assert (started.kind, started.data["options"]) == ("schedule_started", {"delay_secs": 0})
