"""Training that is resumed in another process equals training in one go, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.tf

PROGRAM = """
import hashlib, sys
import keras, numpy as np, tensorflow as tf
from expcore import RunConfig
from expcore_plugins.estimators.keras import KerasEstimator

tf.config.experimental.enable_op_determinism()
x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
y = (x.sum(1, keepdims=True) > 0).astype("float32")


def model():
    layers = keras.layers
    made = keras.Sequential([layers.Dense(8), layers.BatchNormalization(), layers.GaussianNoise(0.1),
                             layers.Dropout(0.5), layers.Dense(1, "sigmoid")])
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    optimizer = keras.optimizers.Adam(rate, use_ema=True, ema_overwrite_frequency=7)
    made.compile(optimizer, "binary_crossentropy", metrics=["accuracy", "auc"])
    return made


def data():
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(64).repeat().batch(4).prefetch(2)


def held_out():
    return x, y


def digest(estimator):
    state = estimator._state
    found = hashlib.sha256()
    for name in ("model", "optimizer", "metrics"):
        for _, variable in state.section(name):
            found.update(variable.numpy().tobytes())
    return f"{int(state.step)} {found.hexdigest()}"


class Metrics:
    def after_steps(self, run):
        print("metrics", run.step, dict(run.metrics))


for path, steps, evaluate in (part.split(",") for part in sys.argv[1:]):
    # Metrics are means over all steps, so they span the restart.
    config = RunConfig(random_seed=11, log_step_count_steps=None)
    estimator = KerasEstimator(model, path, config)
    if evaluate == "before":
        estimator.evaluate(held_out)
    estimator.train(data, hooks=[Metrics()], max_steps=int(steps))
    if evaluate == "after":
        estimator.evaluate(held_out)
    print("digest", digest(estimator))
"""


def lines(*parts):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *parts], capture_output=True, text=True, check=True, timeout=200
    )
    return [line for line in done.stdout.splitlines() if line.split()[0] in ("metrics", "digest")]


def test_resuming_in_a_new_process_equals_training_in_one_go_bit_for_bit(tmp_path):
    straight, halted = tmp_path / "straight", tmp_path / "halted"
    first = lines(f"{straight},40,no", f"{halted},20,after")
    second = lines(f"{halted},40,before")
    assert first[0].startswith("metrics 40 ")
    assert first[1].startswith("digest 40 ")
    assert second == first[:2]
    assert first[3] != first[1]
