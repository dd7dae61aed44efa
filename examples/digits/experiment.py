"""Handwritten digits: one function that makes an experiment, for a laptop and for a cluster."""

from __future__ import annotations

import keras
import tensorflow as tf
from digits_data import load

import expcore
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.exporters.best import Best
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.saved_model import SavedModel
from expcore_plugins.hooks.early_stopping import EarlyStopping

BATCH = 32


def model() -> keras.Model:
    """A small convolutional network, compiled."""
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return network


def train_input_fn() -> tf.data.Dataset:
    """Training batches without end, shuffled."""
    images, labels = load("train")
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    return data.shuffle(len(labels)).repeat().batch(BATCH, drop_remainder=True)


def eval_input_fn() -> tf.data.Dataset:
    """The test images, once."""
    return tf.data.Dataset.from_tensor_slices(load("test")).batch(BATCH)


def experiment(output_dir: str) -> expcore.Experiment:
    """Trains at most 4,000 steps, evaluates every 200, stops early, exports the best and the latest."""
    config = expcore.RunConfig(model_dir=output_dir, random_seed=1)
    return expcore.Experiment(
        KerasEstimator(model, config=config),
        train_input_fn,
        eval_input_fn,
        train_steps=4000,
        eval_steps=12,  # all 360 test images; the training data never end
        eval_every_n_steps=200,
        train_steps_per_iteration=400,
        continuous_eval_throttle_secs=1,
        train_hooks=[EarlyStopping(metric="accuracy", patience=5, min_steps=1000)],
        export_strategies=[
            Best(SavedModel(), metric="accuracy"),
            Latest(SavedModel(), keep=2),
        ],
    )
