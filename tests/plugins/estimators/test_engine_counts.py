"""What a job costs in things that can be counted: traces, compiled calls, round trips to the host, bytes.

Speed is measured elsewhere; these numbers hang on no machine, and a change that raises one shows here.
"""

from __future__ import annotations

import os
from collections import Counter

import keras
import numpy as np
import pluggy
import pytest
import tensorflow as tf

from expcore import Experiment, RunConfig
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine import steps as steps_module
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

CYCLES, EVERY = 10, 100
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(320, 20)).astype("float32"), RNG.integers(0, 3, 320)


def train_data():
    """Shuffles row numbers, so that the position is small whatever a row is."""
    rows = tf.data.Dataset.range(320).shuffle(320, seed=1).repeat().batch(32)
    return rows.map(lambda i: (tf.gather(X, i), tf.gather(Y, i)))


def eval_data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(32)


def traced(counts):
    """A model that counts how often its steps run as Python, which they do only while they are traced."""

    class Traced(keras.Sequential):
        def train_step(self, data):
            counts["train traces"] += 1
            return super().train_step(data)

        def test_step(self, data):
            counts["test traces"] += 1
            return super().test_step(data)

    keras.utils.set_random_seed(1)
    model = Traced([keras.Input((20,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


@pytest.fixture
def counts(monkeypatch):
    found = Counter()
    run, floats, values = steps_module._run_fused, steps_module.floats, SavedCheckpoint.values

    def counted_run(loop, names, iterator, n):
        found["calls"] += n > 0  # calls of no step measure what a call costs, once
        made = run(loop, names, iterator, n)
        found["steps"] += made.done
        return made

    def counted_floats(logs):
        found["fetches"] += 1
        return floats(logs)

    def counted_values(*args):
        found["reads"] += 1
        return values(*args)

    ask = pluggy.HookCaller.__call__

    def counted_ask(self, **named):
        found["pluggy"] += 1
        return ask(self, **named)

    monkeypatch.setattr(steps_module, "_run_fused", counted_run)
    monkeypatch.setattr(steps_module, "floats", counted_floats)
    monkeypatch.setattr(SavedCheckpoint, "values", counted_values)
    monkeypatch.setattr(pluggy.HookCaller, "__call__", counted_ask)
    return found


def make(path, counts, save=EVERY, **options):
    config = RunConfig(save_checkpoints_steps=save, random_seed=1)
    return KerasEstimator(traced(counts), path, config, clock=VirtualClock(), **options)


def interleaved(estimator, cycles=CYCLES, **options):
    experiment = Experiment(
        estimator,
        train_data,
        eval_data,
        cycles * EVERY,
        eval_steps=10,
        eval_every_n_steps=EVERY,
        clock=VirtualClock(),
        **options,
    )
    experiment.train_and_evaluate()
    return experiment


@pytest.mark.parametrize("beside", [False, True], ids=["saved at once", "saved beside"])
def test_the_interleaved_job(tmp_path, counts, beside):
    interleaved(make(tmp_path, counts, async_checkpoints=beside))
    # Of training 1, 10 and 89 steps while the pace is unknown, then a call a cycle; of evaluation a call of
    # one batch to learn the pace, then a call each.
    assert counts["steps"] == CYCLES * (EVERY + 10)
    assert counts["calls"] == (CYCLES + 2) + (CYCLES + 1)
    assert counts["train traces"] <= 2  # the second where the first one makes variables
    assert counts["test traces"] == 1
    # The hooks of a stop share one fetch of the metrics; an evaluation has one.
    assert counts["fetches"] == 2 * CYCLES
    assert counts["reads"] == 0  # no checkpoint is read: the values are there


def test_twice_as_many_cycles_trace_nothing_more_and_ask_as_much_more(tmp_path, counts):
    found = {}
    for cycles in (5, 10, 20):
        counts.clear()
        interleaved(make(tmp_path / str(cycles), counts), cycles)
        found[cycles] = dict(counts)
    assert found[5]["train traces"] == found[20]["train traces"]
    assert found[5]["test traces"] == found[20]["test traces"]
    for name in ("calls", "fetches", "pluggy"):
        a, b, c = (found[n][name] for n in (5, 10, 20))
        assert c - b == 2 * (b - a), name


def test_steps_ask_no_plugin(tmp_path, counts):
    found = []
    for steps in (200, 2000):
        counts.clear()
        estimator = make(tmp_path / str(steps), counts, save=steps)
        Experiment(estimator, train_data, eval_data, steps, eval_steps=1).train()
        found.append(counts["pluggy"])
    assert found[0] == found[1]


def test_several_sets_are_evaluated_on_one_reading_of_the_checkpoint(tmp_path, counts):
    estimator = make(tmp_path, counts).train(train_data, max_steps=20)
    fresh = make(tmp_path, counts)
    counts.clear()
    sets = {"a": eval_data, "b": lambda: eval_data().take(3), "c": lambda: eval_data().take(2)}
    experiment = Experiment(fresh, train_data, sets, 20, eval_steps=None)
    experiment.evaluate()
    assert counts["reads"] <= 2  # the model's variables, and the optimizer's
    assert counts["test traces"] <= 2
    assert estimator.latest_checkpoint() == fresh.latest_checkpoint()


def test_bytes_of_a_checkpoint_are_those_of_what_it_holds(tmp_path, counts):
    estimator = make(tmp_path, counts).train(train_data, max_steps=20)
    reader = tf.train.load_checkpoint(estimator.latest_checkpoint())
    arrays = sum(
        np.asarray(reader.get_tensor(name)).nbytes
        for name in reader.get_variable_to_shape_map()
        if not name.startswith(("position", "about"))
    )
    names = [n for n in os.listdir(tmp_path) if n.startswith("ckpt-20.")]
    written = sum(os.path.getsize(tmp_path / n) for n in names)
    # 320 row numbers in the shuffle, in some 200 bytes each as TensorFlow writes them; the index; JSON.
    assert written - arrays < 90_000
    assert sorted(n.rpartition(".")[2] for n in names) == ["data-00000-of-00001", "index"]


def test_bytes_of_the_log_and_the_curves_of_a_cycle(tmp_path, counts):
    sizes = []
    for cycles in (5, 10):
        interleaved(make(tmp_path / str(cycles), counts), cycles)
        files = [p for p in (tmp_path / str(cycles)).rglob("*") if "events" in p.name]
        sizes.append(sum(p.stat().st_size for p in files))
    assert (sizes[1] - sizes[0]) / 5 < 2_000
