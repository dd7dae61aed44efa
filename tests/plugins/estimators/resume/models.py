"""Models of the resume harness. Each notes which batches it was trained on, in variables of its own."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import tensorflow as tf
from inputs import FEATURES

layers, schedules = keras.layers, keras.optimizers.schedules


def fingerprint(batch):
    """A number that hangs on every bit of a batch and on its place."""
    total = tf.constant(0, tf.int64)
    for tensor in tf.nest.flatten(batch):
        bits = tf.cast(tf.reshape(tf.bitcast(tensor, tf.int32), [-1]), tf.int64)
        places = tf.range(1, tf.size(bits, tf.int64) + 1) * 2_654_435_761
        total = total * 1_000_003 + tf.reduce_sum(bits * places) + tf.size(bits, tf.int64)
    return total


class Recorder(keras.Sequential):
    """Has the fingerprint of the last batch in ``last``, and that of all in their order in ``seen``."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.last = self._number("last")
        self.seen = self._number("seen")

    def _number(self, name):
        return self.add_weight(shape=(), initializer="zeros", dtype="int64", trainable=False, name=name)

    def train_step(self, data):
        self.last.assign(fingerprint(data))
        self.seen.assign(self.seen * 6_364_136_223_846_793_005 + self.last)
        return super().train_step(data)


class GeneratorNoise(layers.Layer):
    """Noise by TensorFlow's generator."""

    def __init__(self, **options):
        super().__init__(**options)
        self.generator = tf.random.Generator.from_seed(3)

    def call(self, x, training=False):
        return x + 0.1 * self.generator.normal([FEATURES], dtype=x.dtype) if training else x


class ListNoise(layers.Layer):
    """Noise by two of Keras's generators in a list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.generators = [keras.random.SeedGenerator(1), keras.random.SeedGenerator(2)]

    def call(self, x, training=False):
        if not training:
            return x
        noise = [keras.random.normal((FEATURES,), seed=g, dtype=x.dtype) for g in self.generators]
        return x + 0.1 * (noise[0] + noise[1])


class ModelGenerator(Recorder):
    """Draws noise from a generator that is the model's own."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.generator = tf.random.Generator.from_seed(4)

    def train_step(self, data):
        x, y = data
        return super().train_step((x + 0.1 * self.generator.normal([FEATURES]), y))


class HiddenNoise(layers.Layer):
    """Noise by Keras's own generator, for want of a seed, and by one that Keras does not find."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = SimpleNamespace(generator=keras.random.SeedGenerator(5))

    def call(self, x, training=False):
        if not training:
            return x
        noise = keras.random.normal((FEATURES,)) + keras.random.normal(
            (FEATURES,), seed=self.hidden.generator
        )
        return x + 0.1 * noise


class Switch(layers.Layer):
    """Counts its calls in a plain variable of TensorFlow and does another thing every third time."""

    def __init__(self, **options):
        super().__init__(**options)
        self.calls = tf.Variable(0, trainable=False)

    def call(self, x, training=False):
        if not training:
            return x
        calls = self.calls.assign_add(1)
        return tf.where(calls % 3 == 0, 0.5 * x, x)


def dense(*before, optimizer=None, kind=Recorder, loss="binary_crossentropy", metrics=("mae",), **options):
    """A small model with the layers in question before its output."""
    made = kind([keras.Input((FEATURES,)), *before, layers.Dense(1, "sigmoid", dtype="float32")])
    made.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=list(metrics), **options)
    return made


def sgd():
    return dense()


def dropout():
    """Two kinds of noise by Keras's own seed generators."""
    return dense(layers.GaussianNoise(0.1), layers.Dense(8), layers.Dropout(0.5))


def images():
    return (
        layers.Reshape((6, 6, 1)),
        layers.RandomFlip(),
        layers.RandomTranslation(0.2, 0.2),
        layers.Flatten(),
    )


def random_flip():
    return dense(*images())


def batch_norm():
    # The averages remember the first of 200 steps: with 0.9 they forget in 150 what they were.
    return dense(layers.Dense(8), layers.BatchNormalization(momentum=0.99))


def rate():
    return schedules.CosineDecayRestarts(0.05, 30)


def adam():
    return dense(layers.Dense(8), optimizer=keras.optimizers.Adam(rate()))


def averages():
    return dense(optimizer=keras.optimizers.Adam(0.05, use_ema=True, ema_overwrite_frequency=7))


def half():
    """Mixed precision; the scale of the loss grows every 30 steps."""
    keras.config.set_dtype_policy("mixed_float16")
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(rate()), 2.0**10, 30)
    return dense(layers.Dense(8, "relu"), layers.Dropout(0.3), optimizer=scaled)


def accumulation():
    return dense(optimizer=keras.optimizers.Adam(rate(), gradient_accumulation_steps=3))


def generator_in_layer():
    return dense(GeneratorNoise())


def generator_in_model():
    return dense(kind=ModelGenerator)


def generator_compiled():
    return dense(GeneratorNoise(), jit_compile=True)


def run_eagerly():
    """The steps in Python, with states that Keras does not list."""
    return dense(GeneratorNoise(), Switch(), run_eagerly=True)


def seeds_in_list():
    return dense(ListNoise())


def hidden_seeds():
    return dense(HiddenNoise())


def plain_variable():
    return dense(Switch())


def metrics():
    """Metrics whose values hang on all steps of their window."""
    return dense(metrics=["accuracy", keras.metrics.AUC(num_thresholds=20), keras.metrics.Precision()])


def words():
    stack = [
        keras.Input((None,), dtype="int32"),
        layers.Embedding(20, 6, mask_zero=True),
        layers.Dropout(0.2),
        layers.GRU(5),
        layers.Dense(1, "sigmoid"),
    ]
    made = Recorder(stack)
    made.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    return made


def _everything(**options):
    keras.config.set_dtype_policy("mixed_float16")
    adam = keras.optimizers.Adam(
        rate(), use_ema=True, ema_overwrite_frequency=7, gradient_accumulation_steps=3
    )
    return dense(
        *images(),
        layers.GaussianNoise(0.1),
        ListNoise(),
        layers.Dense(8, "relu"),
        layers.BatchNormalization(momentum=0.9),
        layers.Dropout(0.3),
        optimizer=keras.optimizers.LossScaleOptimizer(adam, 2.0**10, 30),
        metrics=["accuracy", keras.metrics.AUC(num_thresholds=20)],
        **options,
    )


def everything():
    return _everything(jit_compile=False)


def everything_compiled():
    return _everything(jit_compile=True)
