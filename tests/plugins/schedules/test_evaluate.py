"""The schedule evaluate: once, and without exports."""

from __future__ import annotations

import pytest

from expcore.cluster import RunConfig
from expcore.errors import InvalidArgument, NotTrained, StoppedBySignal
from expcore.experiment import Experiment
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator


class Exporter:
    name = "mine"

    def export(self, *args, **kwargs):
        raise AssertionError("it exported")


def data():
    return [([[1.0]], [1.0])] * 4


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def make(tmp_path, clock):
    host = PluginSandbox(builtins=True, disable=["plugins/default_hooks"]).host

    def experiment(**arguments):
        config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=2)
        arguments = {"train_input_fn": data, "eval_input_fn": data} | arguments
        return Experiment(NumpyEstimator(config=config, clock=clock), plugins=host, clock=clock, **arguments)

    return experiment


def test_it_evaluates_the_latest_checkpoint_and_never_exports(make):
    make(train_steps=4).train()
    experiment = make(export_strategies=Exporter())
    result = experiment.evaluate()
    assert result["global_step"] == 4
    assert [e.metrics for e in experiment.history.evaluations] == [result]
    assert experiment.history.training_ends[-1].steps == 4


def test_each_call_evaluates_again(make):
    make(train_steps=4).train()
    calls = []
    experiment = make(eval_input_fn=lambda: calls.append(1) or data())
    experiment.evaluate()
    experiment.evaluate(name="other")
    experiment.evaluate()
    assert len(calls) == 3
    assert {e.name for e in experiment.history.evaluations} == {None}


@pytest.mark.parametrize(("option", "secs"), [({}, 9), ({"delay_secs": None}, 9), ({"delay_secs": 0}, 0)])
def test_the_delay_is_the_experiments_unless_given(make, clock, option, secs):
    make(train_steps=4).train()
    make(eval_delay_secs=9).evaluate(**option)
    assert clock.time() == secs


def test_without_a_checkpoint_it_is_left_to_the_estimator_which_raises_not_trained(make):
    with pytest.raises(NotTrained) as caught:
        make().evaluate()
    assert isinstance(caught.value, ValueError)


def test_wrong_options_are_told_before_it_waits(make, clock):
    sets = {"a": data, "b": data}
    with pytest.raises(InvalidArgument, match="eval_input_fn is a mapping, whose names 'a', 'b'"):
        make(eval_delay_secs=9, eval_input_fn=sets).evaluate(name="x")
    with pytest.raises(InvalidArgument, match="`delay_secs` must be seconds, 0 or more"):
        make().evaluate(delay_secs="soon")
    assert clock.time() == 0


def test_a_signal_while_it_waits_ends_it(make, clock):
    make(train_steps=4).train()
    experiment = make()

    def sleep(secs, wait=clock.sleep):
        wait(secs)
        experiment.interrupt(2)

    clock.sleep = sleep
    with pytest.raises(StoppedBySignal) as caught:
        experiment.evaluate(delay_secs=100)
    assert (caught.value.code, clock.time()) == (130, 1)
    assert experiment.history.evaluations == ()
