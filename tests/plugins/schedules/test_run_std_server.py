"""The schedule run_std_server: it serves until the training is over; the server itself is a stand-in."""

from __future__ import annotations

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import InvalidArgument, ServerUnavailable, StoppedBySignal
from expcore.events import EventLog, LogReader
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore_plugins.schedules import run_std_server as module

CLUSTER = {"chief": ["h0:1"], "ps": ["h1:1"]}


class Script(VirtualClock):
    """A virtual clock at which other processes do their deeds at their time; it does not run for ever."""

    def __init__(self):
        super().__init__()
        self.deeds = {}

    def sleep(self, secs):
        until = self.time() + secs
        for when in sorted(when for when in self.deeds if when <= until):
            self.deeds.pop(when)()
        super().sleep(secs)
        assert self.time() < 1000, "it serves for ever"


class Server:
    target = "grpc://h1:1"


@pytest.fixture
def clock():
    return Script()


@pytest.fixture
def made(monkeypatch):
    configs = []
    monkeypatch.setattr(module, "start_server", lambda config: configs.append(config) or Server())
    return configs


@pytest.fixture
def make(tmp_path, clock):
    host = PluginSandbox(builtins=True).host

    def experiment(**arguments):
        task = parse_tf_config({"cluster": CLUSTER, "task": {"type": "ps", "index": 0}})
        config = RunConfig(model_dir=str(tmp_path), task=task)
        return Experiment(NumpyEstimator(config=config), None, None, plugins=host, clock=clock, **arguments)

    return experiment


@pytest.fixture
def train(tmp_path):
    def training(step=5, over=True):
        log = EventLog(str(tmp_path), "chief-0", VirtualClock())
        run = log.name
        number = 1 + sum(e.kind == "training_started" for e in LogReader(str(tmp_path)).read())
        log.append("training_started", run=run, generation=number, step=0)
        log.append("training_ended", run=run, step=step, reason="enough" if over else "signal", over=over)

    return training


def test_it_serves_until_a_training_that_it_saw_ends(make, train, clock, made, caplog):
    caplog.set_level("INFO")
    experiment = make(train_steps=1000)
    clock.deeds[99] = train
    assert experiment.run_std_server() is None
    assert made == [experiment.config]
    assert clock.time() == 100
    assert "training ended at step 5 (enough); the server grpc://h1:1 ends" in caplog.text


def test_its_older_name_is_serve(make, train, clock, made):
    clock.deeds[1] = train
    make().serve()
    assert len(made) == 1


def test_neither_the_end_of_an_older_run_nor_a_signal_elsewhere_ends_it(make, train, clock, made):
    train()
    clock.deeds[50] = lambda: train(over=False)
    clock.deeds[200] = train
    make(train_steps=1000).run_std_server()
    assert clock.time() == 200


def test_the_end_of_a_run_that_reached_train_steps_ends_it_at_once(make, train, clock, made):
    train(step=1000)
    make(train_steps=1000).run_std_server()
    assert (len(made), clock.time()) == (1, 0)


def test_a_training_that_ends_while_the_server_starts_was_seen(make, train, clock, monkeypatch):
    monkeypatch.setattr(module, "start_server", lambda config: train() or Server())
    make().run_std_server()
    assert clock.time() == 0


def test_a_signal_to_itself_ends_it(make, clock, made):
    experiment = make()
    clock.deeds[7] = lambda: experiment.interrupt(15)
    with pytest.raises(StoppedBySignal) as caught:
        experiment.run_std_server()
    assert (caught.value.code, clock.time()) == (143, 7)


@pytest.mark.parametrize("error", [ServerUnavailable("port 1 is taken"), InvalidArgument("no cluster")])
def test_what_keeps_the_server_from_starting_is_raised(make, monkeypatch, error):
    def fail(config):
        raise error

    monkeypatch.setattr(module, "start_server", fail)
    with pytest.raises(type(error)) as caught:
        make().run_std_server()
    assert caught.value is error


def test_without_a_cluster_it_is_a_value_error(tmp_path):
    config = RunConfig(model_dir=str(tmp_path))
    host = PluginSandbox(builtins=True).host
    experiment = Experiment(NumpyEstimator(config=config), None, None, plugins=host, clock=Script())
    with pytest.raises(ValueError, match="the config lacks 'cluster_spec', 'task_type', 'master'"):
        experiment.run_std_server()
