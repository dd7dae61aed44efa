"""Data whose position cannot be saved are named at the start, with what will happen; training goes on."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.arange(1, 41, dtype="float32")[:, None]
SPEC = (tf.TensorSpec((1,)), tf.TensorSpec((1,)))


def rows():
    return tf.data.Dataset.from_tensor_slices((X, X))


def in_order():
    yield from zip(X, X, strict=True)


def by_generator():
    return tf.data.Dataset.from_generator(in_order, output_signature=SPEC).batch(1)


def by_generator_shuffled():
    return tf.data.Dataset.from_generator(in_order, output_signature=SPEC).shuffle(1).batch(1)


def by_generator_behind():
    """Python begins after 12 rows."""
    return rows().take(12).concatenate(by_generator().unbatch()).batch(1)


def by_generator_inside():
    return tf.data.Dataset.range(2).flat_map(lambda _: by_generator())


def by_py_function():
    def through(x, y):
        return tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.float32), (1,)), y

    return rows().map(through).batch(1)


def by_numpy_function():
    def through(x, y):
        return tf.ensure_shape(tf.numpy_function(lambda v: v, [x], tf.float32), (1,)), y

    return rows().map(through).batch(1)


def by_iterator():
    return iter([(X[i : i + 1], X[i : i + 1]) for i in range(40)])


def by_iterable():
    return [(X[i : i + 1], X[i : i + 1]) for i in range(40)]


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return X[i : i + 1], X[i : i + 1]


def by_py_dataset():
    return Batches()


PYTHON = [
    by_generator,
    by_generator_shuffled,
    by_generator_behind,
    by_generator_inside,
    by_py_function,
    by_numpy_function,
    by_iterator,
    by_iterable,
    by_py_dataset,
]


def by_random_layer():
    flip = keras.layers.RandomFlip(seed=1)
    return rows().batch(1).map(lambda x, y: (flip(x[:, None, :, None], training=True)[:, 0, :, 0], y))


def by_random_operation():
    return rows().map(lambda x, y: (x + 0 * tf.random.uniform(()), y)).batch(1)


def by_random_generator():
    generator = tf.random.Generator.from_seed(1)
    return rows().map(lambda x, y: (x + 0 * generator.uniform(()), y)).batch(1)


def by_shuffle_inside():
    return rows().batch(1).interleave(lambda x, y: tf.data.Dataset.from_tensors((x, y)).shuffle(2))


STATE = [by_random_layer, by_random_operation, by_random_generator, by_shuffle_inside]


class Echo(keras.Model):
    """Gives the last number of its input as a metric."""

    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        super().train_step(data)
        return {"last": data[0][-1, 0]}


def echo():
    model = Echo()
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    return model


class Story(logging.Handler):
    """What was told and done, in its order."""

    every_secs = None

    def __init__(self):
        super().__init__(logging.WARNING)
        self.story, self.told, self.last = [], [], None

    def emit(self, record):
        self.story.append("told")
        self.told.append(record.getMessage())

    def begin(self, run):
        self.story.append("begin")

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        self.story.append("step")
        self.last = run.metrics["last"]


def trained(directory, data, steps=15):
    story = Story()
    config = RunConfig(save_checkpoints_steps=5, log_step_count_steps=None, random_seed=3)
    logger = logging.getLogger("expcore_plugins.estimators")
    logger.addHandler(story)
    try:
        KerasEstimator(echo, directory, config).train(data, hooks=[story], steps=steps)
    finally:
        logger.removeHandler(story)
    return story


def check_named(story, data):
    assert story.story[:3] == ["told", "begin", "step"]
    assert data.__name__ in story.told[0]
    assert "cannot be saved" in story.told[0]
    assert "after a restart the data begin anew" in story.told[0]
    assert len(story.told) == 1
    assert story.story.count("step") >= 12


@pytest.mark.parametrize("data", PYTHON, ids=lambda data: data.__name__)
def test_python_data_are_named_before_the_first_step_and_begin_anew_after_a_restart(tmp_path, data):
    first = trained(tmp_path, data)
    check_named(first, data)
    if data is not by_generator_behind:  # whose generator ends at 3 as well
        assert first.last != 3
    second = trained(tmp_path, data, steps=3)
    assert second.last == 3
    assert second.story[0] == "told"


@pytest.mark.parametrize("data", STATE, ids=lambda data: data.__name__)
def test_data_by_what_has_a_state_are_named_and_python_is_not_blamed(tmp_path, data):
    story = trained(tmp_path, data)
    check_named(story, data)
    assert "Python" not in story.told[0]


def test_data_with_a_position_are_not_named(tmp_path):
    assert trained(tmp_path, lambda: rows().shuffle(5).batch(1).prefetch(1)).story[:2] == ["begin", "step"]
