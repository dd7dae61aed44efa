"""Training: exact resume, steps, hooks, listeners."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from digits import TEN, bits, hinge, logistic, made, mlp, naive, one_pass, one_vs_rest, test_data, train_data
from expcore_sklearn import SklearnEstimator

import expcore
from expcore.errors import (
    InvalidArgument,
    InvalidHook,
)

# --- exact resume -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [logistic, hinge, mlp, naive, one_vs_rest])
def test_interrupted_and_resumed_in_new_objects_equals_uninterrupted_bit_for_bit(tmp_path, model):
    whole = made(tmp_path / "whole", model).train(train_data, max_steps=60)
    for until in (7, 30, 31, 60):
        parts = made(tmp_path / "parts", model).train(train_data, max_steps=until)
    assert bits(parts) == bits(whole)
    same = made(tmp_path / "same", model)
    for _ in range(6):
        same.train(train_data, steps=10)
    assert bits(same) == bits(whole)


def test_random_states_that_are_not_given_follow_the_configs_seed_and_not_numpys_global_one(tmp_path):
    sums = []
    for i, seed in enumerate((3, 3, 4)):
        np.random.seed(i)
        config = expcore.RunConfig(model_dir=str(tmp_path / str(i)), random_seed=seed)
        estimator = SklearnEstimator(logistic, config=config, classes=TEN)
        sums.append(bits(estimator.train(train_data, max_steps=3)))
    assert sums[0] == sums[1] != sums[2]


def test_a_failure_loses_the_steps_since_the_last_checkpoint_and_training_goes_on_from_there(tmp_path):
    class Fail:
        def next_step(self, step):
            return 15 if step < 15 else None

        def after_steps(self, run):
            if run.step == 15:
                raise KeyError("boom")

    estimator = made(tmp_path / "failed", config={"save_checkpoints_steps": 10})
    with pytest.raises(KeyError):
        estimator.train(train_data, hooks=[Fail()], max_steps=20)
    assert [Path(p).name for p in estimator.checkpoints()] == ["ckpt-10.joblib"]
    estimator.train(train_data, max_steps=20)
    assert bits(estimator) == bits(made(tmp_path / "whole").train(train_data, max_steps=20))


def test_input_that_ended_begins_anew_and_other_input_from_its_start(tmp_path):
    estimator = made(tmp_path / "a")
    assert estimator.train(one_pass).evaluate(test_data)["global_step"] == 44
    assert estimator.train(one_pass).evaluate(test_data)["global_step"] == 88
    assert made(tmp_path / "a").train(one_pass).evaluate(test_data)["global_step"] == 132
    first = []

    def other():
        first.append(True)
        return one_pass()

    estimator = made(tmp_path / "b").train(train_data, steps=2)
    estimator.train(other, steps=2)
    assert first == [True]
    assert json.loads(Path(estimator.latest_checkpoint() + ".json").read_text())["taken"] == 2


# --- steps, hooks, listeners --------------------------------------------------------------------------


def test_max_steps_is_a_global_step_and_steps_are_more_steps(tmp_path):
    estimator = made(tmp_path)
    for limits, step in (({"steps": 3}, 3), ({"steps": 2}, 5), ({"max_steps": 9}, 9), ({"max_steps": 4}, 9)):
        estimator.train(train_data, **limits)
        assert estimator.evaluate(test_data)["global_step"] == step


def test_a_run_that_is_complete_calls_no_hook_and_reads_no_data(tmp_path):
    class Hook:
        def begin(self, run):
            raise AssertionError

    def unread():
        raise AssertionError

    made(tmp_path).train(train_data, max_steps=3)
    made(tmp_path).train(unread, hooks=[Hook()], max_steps=3)


@pytest.mark.parametrize(
    "limits", [{"steps": 1, "max_steps": 1}, {"steps": 0}, {"max_steps": 1.5}, {"steps": True}]
)
def test_wrong_limits_are_refused(tmp_path, limits):
    with pytest.raises(InvalidArgument):
        made(tmp_path).train(train_data, **limits)


def test_hooks_are_called_and_their_states_come_back(tmp_path):
    class Count:
        seen = 0

        def next_step(self, step):
            return step - step % 5 + 5

        def after_steps(self, run):
            self.seen += 1
            assert set(run.metrics) == {"loss", "accuracy"}
            assert run.model.classes_.tolist() == TEN

        def get_state(self):
            return {"seen": self.seen}

        def set_state(self, state):
            self.seen = state["seen"]

    first, second = Count(), Count()
    made(tmp_path).train(train_data, [first], max_steps=20)
    made(tmp_path).train(train_data, [second], max_steps=30)
    assert (first.seen, second.seen) == (4, 6)


def test_hooks_that_need_another_library_and_objects_that_are_none_are_refused(tmp_path):
    class NeedsTensorflow:
        requires = "tensorflow"

        def begin(self, run):
            pass

    estimator = made(tmp_path)
    assert not estimator.supports_hook(NeedsTensorflow())
    with pytest.raises(InvalidHook, match="it needs tensorflow"):
        estimator.train(train_data, [NeedsTensorflow()], steps=1)
    with pytest.raises(InvalidHook):
        estimator.train(train_data, [object()], steps=1)
    assert estimator.latest_checkpoint() is None
    estimator.train(train_data, steps=1)
    for hook in (NeedsTensorflow(), object()):
        with pytest.raises(InvalidHook):
            estimator.evaluate(train_data, steps=1, hooks=[hook])


def test_listeners_are_told_of_each_save_and_can_end_training(tmp_path):
    class Listener:
        calls = ()

        def after_save(self, session, step):
            self.calls += (session, step)
            return step >= 20

    listener = Listener()
    estimator = made(tmp_path, config={"save_checkpoints_steps": 10})
    estimator.train(train_data, max_steps=100, saving_listeners=[listener])
    assert listener.calls == (None, 10, None, 20)
    assert estimator.evaluate(test_data)["global_step"] == 20
