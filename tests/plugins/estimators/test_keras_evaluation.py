"""Evaluating with the Keras estimator: results, purity, checkpoints, hooks, summaries."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    InvalidArgument,
    InvalidHook,
    InvalidInput,
    NotCompiled,
    NotTrained,
)
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine import saved as saved_module
from expcore_plugins.estimators.engine.steps import StepBuilder
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).normal(size=(47, 4)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")


def noisy():
    """A model with all that an evaluation could disturb: seeds, moving averages, metrics."""
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1, kernel_regularizer="l2")])
    model.compile(
        "adam",
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy", keras.metrics.AUC(from_logits=True, name="auc")],
        weighted_metrics=["mae"],
    )
    return model


def endless():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(47, seed=1).batch(5).repeat()


def weighted():
    return tf.data.Dataset.from_tensor_slices((X, Y, np.arange(47, dtype="float32"))).batch(10)


def make(path, model=noisy, clock=None, **config):
    return KerasEstimator(
        model, path / "run", RunConfig(**{"random_seed": 3, **config}), clock=clock or VirtualClock()
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An estimator trained to step 6, with checkpoints 2, 4 and 6; only read by tests."""
    return make(tmp_path_factory.mktemp("shared"), save_checkpoints_steps=2).train(endless, steps=6)


@pytest.fixture
def copied(shared, tmp_path):
    """The path of a copy of its directory."""
    shutil.copytree(shared.model_dir, tmp_path / "run")
    return tmp_path


def state(estimator):
    live = estimator._state
    variables = [n.variable for name in ("model", "optimizer", "metrics") for n in live.section(name)]
    return [v.numpy().tobytes() for v in (live.step, *variables)]


# Input without an end


def test_data_that_repeats_for_ever_is_refused_without_a_limit_and_taken_with_one(shared):
    with pytest.raises(InvalidInput, match="never end; give steps= "):
        shared.evaluate(endless)
    assert shared.evaluate(endless, steps=2)["global_step"] == 6


# Results


def test_the_result_is_that_of_keras_on_the_same_data_with_the_global_step(shared):
    found = shared.evaluate(weighted)
    with shared.restored() as model:
        wanted = model.evaluate(weighted(), return_dict=True, verbose=0)
    assert found.pop("global_step") == 6
    assert found == pytest.approx(wanted, rel=1e-5)
    assert all(type(v) is float for v in found.values())
    assert type(shared.evaluate(weighted)["global_step"]) is int


def test_steps_limit_the_batches_and_none_is_to_the_end(shared):
    with shared.restored() as model:
        wanted = model.evaluate(weighted().take(2), return_dict=True, verbose=0)
    found = shared.evaluate(weighted, steps=2)
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert shared.evaluate(weighted, steps=100) == shared.evaluate(weighted)


def test_arrays_count_every_example_once(shared):
    found = shared.evaluate(lambda: (X, Y))
    with shared.restored() as model:
        wanted = model.evaluate(X, Y, return_dict=True, verbose=0)
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)


class Slow(VirtualClock):
    """A clock on which every look takes a part of a second."""

    def monotonic(self):
        self.sleep(0.3)
        return super().monotonic()


def test_a_long_evaluation_is_cut_into_calls_without_changing_the_result(shared, copied):
    slow = make(copied, clock=Slow())
    calls = []
    loop = slow._steps.test(weighted().element_spec)
    (key,) = slow._steps._loops
    slow._steps._loops[key] = lambda i, n: calls.append(n) or loop(i, n)
    assert slow.evaluate(weighted) == shared.evaluate(weighted)
    assert len(calls) > 2


def test_xla_gives_the_same_result_and_disturbs_nothing(shared, copied):
    def compiled():
        model = noisy()
        model.jit_compile = True
        return model

    estimator = make(copied, compiled)
    estimator.train(endless, steps=1)
    before = state(estimator)
    found = estimator.evaluate(weighted, checkpoint_path=str(copied / "run" / "ckpt-6"))
    assert state(estimator) == before
    estimator.evaluate(weighted)
    assert state(estimator) == before
    assert found == pytest.approx(shared.evaluate(weighted), rel=1e-4)


# A pure read


def test_what_an_evaluations_input_draws_from_numpy_and_python_is_put_back(tmp_path):
    def shuffled():
        rows = np.random.permutation(64)
        random.random()
        return np.random.default_rng(0).random((64, 4)).astype("float32")[rows], np.zeros((64, 1), "float32")

    estimator = make(tmp_path).train(shuffled, steps=1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    estimator.evaluate(shuffled)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_no_call_of_an_evaluation_is_planned_by_the_pace_of_other_data(tmp_path):
    def endless_zeros():
        return tf.data.Dataset.from_tensors(
            (np.zeros((2, 4), "float32"), np.zeros((2, 1), "float32"))
        ).repeat()

    estimator = make(tmp_path).train(endless_zeros, steps=1)
    planned = []
    built = StepBuilder.test

    def noted(self, spec):
        loop = built(self, spec)

        def run(iterator, n):
            planned.append(n)
            return loop(iterator, n)

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StepBuilder, "test", noted)
        estimator.evaluate(endless_zeros, steps=500)
        first = list(planned)
        planned.clear()
        estimator.evaluate(lambda: endless_zeros(), steps=500)
    assert first[:3] == [1, 10, 100]
    assert planned[0] == 1


def test_training_with_evaluations_in_between_is_bit_for_bit_training_without(tmp_path):
    straight = make(tmp_path / "a").train(endless, steps=12)
    halting = make(tmp_path / "b", save_checkpoints_steps=3)
    for _ in range(3):
        halting.train(endless, steps=4)
        halting.evaluate(endless, steps=2)
        halting.evaluate(weighted, checkpoint_path=halting.checkpoints()[0])
    assert state(halting) == state(straight)


@pytest.mark.parametrize("step", [6, 4])
def test_an_evaluation_leaves_every_variable_as_it_was(shared, step):
    before = state(shared)
    path = os.path.join(shared.model_dir, f"ckpt-{step}")
    shared.evaluate(weighted, checkpoint_path=path)
    assert state(shared) == before


class Failing:
    def __init__(self, moment):
        self.moment = moment
        setattr(self, moment, self.fail)

    def fail(self, run):
        raise RuntimeError(self.moment)

    def failed(self, run, error):
        self.told = error


@pytest.mark.parametrize("step", [6, 4])
@pytest.mark.parametrize("moment", ["begin", "after_steps", "end"])
def test_an_evaluation_that_fails_leaves_every_variable_as_it_was(shared, step, moment):
    before, hook = state(shared), Failing(moment)
    path = os.path.join(shared.model_dir, f"ckpt-{step}")
    with pytest.raises(RuntimeError, match=moment) as caught:
        shared.evaluate(weighted, hooks=[hook], checkpoint_path=path)
    assert hook.told is caught.value
    assert any("Failing" in note for note in caught.value.__notes__)
    assert state(shared) == before
    assert shared.evaluate(weighted)["global_step"] == 6


def test_an_older_checkpoint_gives_what_it_gave_when_it_was_new(tmp_path):
    estimator = make(tmp_path)
    results = [estimator.train(endless, steps=2).evaluate(weighted) for _ in range(3)]
    for path, wanted in zip(estimator.checkpoints(), results, strict=True):
        assert estimator.evaluate(weighted, checkpoint_path=path) == wanted
        assert make(tmp_path).evaluate(weighted, checkpoint_path=path) == pytest.approx(wanted, rel=1e-5)


@pytest.fixture
def reads(monkeypatch):
    """The checkpoints whose variables are read."""
    found = []
    original = saved_module.SavedCheckpoint.values

    def values(self, section, variables):
        found.append((os.path.basename(self.path), section))
        return original(self, section, variables)

    monkeypatch.setattr(saved_module.SavedCheckpoint, "values", values)
    return found


def test_the_live_weights_are_used_where_they_are_the_checkpoints(tmp_path, reads):
    estimator = make(tmp_path).train(endless, steps=2)
    estimator.evaluate(weighted)
    assert reads == []
    estimator.train(endless, steps=2).evaluate(weighted, checkpoint_path=str(tmp_path / "run" / "ckpt-2"))
    assert reads == [("ckpt-2", "model")]
    resumed = make(tmp_path).train(endless, steps=1)
    reads.clear()
    resumed.evaluate(weighted)
    assert reads == []


def test_a_checkpoint_that_was_written_again_by_another_is_read_again(tmp_path, reads):
    estimator = make(tmp_path).train(endless, steps=2)
    shutil.rmtree(tmp_path / "run")
    make(tmp_path).train(endless, steps=1).train(endless, steps=1)
    estimator.evaluate(weighted)
    assert reads == [("ckpt-2", "model")]


def test_a_listener_can_evaluate_while_training_goes_on(tmp_path, reads):
    estimator = make(tmp_path / "a", save_checkpoints_steps=2)
    results = []

    class Listener:
        def after_save(self, session, step):
            results.append(estimator.evaluate(weighted))

    estimator.train(endless, steps=6, saving_listeners=[Listener()])
    assert [r["global_step"] for r in results] == [2, 4, 6]
    assert reads == []
    assert state(estimator) == state(make(tmp_path / "b").train(endless, steps=6))


def test_evaluating_without_training_leaves_the_first_weights(shared, tmp_path):
    estimator = make(tmp_path)
    path = shared.checkpoints()[0]
    assert estimator.evaluate(weighted, checkpoint_path=path) == pytest.approx(
        shared.evaluate(weighted, checkpoint_path=path), rel=1e-5
    )
    seeded = make(tmp_path / "b")
    seeded.train(endless, steps=1)
    estimator.train(endless, steps=1)
    assert state(estimator) == state(seeded)


# Inputs


def test_a_dataset_is_asked_for_once_and_a_generator_each_time(shared):
    asked = {"dataset": 0, "generator": 0}

    def dataset():
        asked["dataset"] += 1
        return weighted()

    def generator():
        asked["generator"] += 1
        return iter([(X, Y)])

    for _ in range(3):
        shared.evaluate(dataset)
        assert shared.evaluate(generator)["global_step"] == 6
    assert asked == {"dataset": 1, "generator": 3}


@pytest.mark.parametrize(
    "data", [lambda: weighted().take(0), lambda: weighted().filter(lambda *_: False), lambda: None]
)
def test_empty_input_is_an_error_and_disturbs_nothing(shared, data):
    before = state(shared)
    with pytest.raises(InvalidInput):
        shared.evaluate(data)
    assert state(shared) == before


def test_shapes_that_do_not_fit_are_named(shared):
    with pytest.raises(InvalidInput, match=r"float32\[None, 3\]"):
        shared.evaluate(lambda: (X[:, :3], Y))


# Refusals


@pytest.mark.parametrize("steps", [0, -3, 1.5])
def test_steps_must_be_positive(shared, steps):
    with pytest.raises(ValueError, match="steps"):
        shared.evaluate(weighted, steps=steps)


def test_without_a_checkpoint_there_is_nothing_to_evaluate_and_no_input_is_asked(tmp_path):
    def never():
        raise AssertionError("called")

    with pytest.raises(NotTrained, match="train"):
        make(tmp_path).evaluate(never)
    assert not (tmp_path / "run").exists()


def test_a_vanished_checkpoint_is_told(shared):
    with pytest.raises(CheckpointCorrupt, match="ckpt-77"):
        shared.evaluate(weighted, checkpoint_path=os.path.join(shared.model_dir, "ckpt-77"))


def test_a_model_without_loss_can_train_by_its_own_step_but_not_be_evaluated(tmp_path):
    class Own(keras.Sequential):
        def train_step(self, data):
            return {"loss": tf.reduce_mean(self(data[0]))}

    model = Own([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd")
    estimator = make(tmp_path, model).train(endless, steps=1)
    with pytest.raises(NotCompiled, match="loss="):
        estimator.evaluate(weighted)


@pytest.mark.parametrize("hook", [object(), keras.callbacks.History()])
def test_hooks_of_evaluations_are_expcores(shared, hook):
    with pytest.raises(InvalidHook, match="hook"):
        shared.evaluate(weighted, hooks=[hook])


def test_a_name_with_a_slash_is_refused(shared):
    with pytest.raises(InvalidArgument, match="name"):
        shared.evaluate(weighted, name="../other")


# Hooks and summaries


class Recorder:
    def __init__(self):
        self.calls = []

    def begin(self, run):
        self.calls.append(("begin", run.step, dict(run.metrics)))

    def after_steps(self, run):
        self.calls.append(("after_steps", run.step, sorted(run.metrics)))

    def end(self, run):
        self.calls.append(("end", run.model_dir, run.stop_reason))


@pytest.mark.parametrize(("steps", "reason"), [(2, "steps"), (None, "input ended")])
def test_hooks_are_told_of_begin_and_end_with_the_evaluated_step(shared, steps, reason):
    hook = Recorder()
    found = shared.evaluate(weighted, steps, hooks=[hook], checkpoint_path=shared.checkpoints()[1])
    metrics = sorted(set(found) - {"global_step"})
    assert hook.calls == [
        ("begin", 4, {}),
        ("after_steps", 4, metrics),
        ("end", shared.model_dir, reason),
    ]


def scalars(folder):
    found = {}
    for name in os.listdir(folder):
        for event in tf.compat.v1.train.summary_iterator(os.path.join(folder, name)):
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_results_are_written_as_summaries_at_the_global_step_by_name(copied):
    estimator = make(copied)
    shutil.rmtree(copied / "run" / "eval", ignore_errors=True)
    results = {}
    for path in estimator.checkpoints():
        for name in (None, "", "extra"):
            results[path, name] = estimator.evaluate(weighted, name=name, checkpoint_path=path)
    for folder, name in (("eval", None), ("eval_extra", "extra")):
        found = scalars(copied / "run" / folder)
        assert set(found) == {"loss", "accuracy", "auc", "mae"}
        for path in estimator.checkpoints():
            result = results[path, name]
            assert found["auc"][result["global_step"]] == pytest.approx(result["auc"])
        assert len(os.listdir(copied / "run" / folder)) == 1


WITHOUT_TENSORBOARD = """
import sys
sys.modules["tensorboard"] = None  # as where it is not installed
import keras, numpy as np
from expcore import Experiment
from expcore_plugins.estimators.keras import KerasEstimator

def model():
    made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse", jit_compile=False)
    return made

data = lambda: (np.ones((8, 2), "float32"), np.ones((8, 1), "float32"))
result, _ = Experiment(KerasEstimator(model, "run"), data, data, train_steps=2).train_and_evaluate()
print(result["global_step"])
"""


def test_results_and_curves_are_written_where_tensorboard_is_not_installed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORBOARD], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1
    assert set(scalars(tmp_path / "run" / "eval")) == {"loss"}
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def test_summaries_that_cannot_be_written_are_told(copied):
    shutil.rmtree(copied / "run" / "eval", ignore_errors=True)
    (copied / "run" / "eval").write_text("in the way")
    with pytest.raises(CannotWrite, match="eval"):
        make(copied).evaluate(weighted)
