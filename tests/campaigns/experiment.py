"""What the campaigns run: a small model that takes half a minute, so that there is time to kill it."""

from __future__ import annotations

import os
import time

import keras
import numpy as np
import tensorflow as tf

import expcore
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.exporters.keras_archive import KerasArchive

STEPS = int(os.environ["CAMPAIGN_STEPS"])


class Slow:
    """Takes its time at every tenth step."""

    def next_step(self, step):
        """Every tenth step."""
        return (step // 10 + 1) * 10

    def after_steps(self, run):
        """Waits."""
        time.sleep(0.25)


def model():
    """A layer or two."""
    layers = [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
    built = keras.Sequential(layers)
    built.compile("adam", "mse")
    return built


def data():
    """Batches without end."""
    x = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x[:, :1])).shuffle(256).repeat().batch(16)


def eval_data():
    """The same once."""
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(16)


def experiment(output_dir):
    """Saves every 50 steps."""
    config = expcore.RunConfig(model_dir=output_dir, save_checkpoints_steps=50, start_timeout_secs=120)
    return expcore.Experiment(
        KerasEstimator(model, config=config),
        data,
        eval_data,
        train_steps=STEPS,
        eval_steps=None,
        train_hooks=[Slow()],
        continuous_eval_throttle_secs=1,
        export_strategies=[KerasArchive()],
    )
