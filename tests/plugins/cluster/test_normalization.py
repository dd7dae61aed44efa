"""Layer normalisation in a replica's step is Keras's: what it gives, its gradients, and theirs."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from contextlib import ExitStack  # noqa: E402

from expcore_plugins.estimators.keras import normalization  # noqa: E402  (it needs TensorFlow in its turn)
from expcore_plugins.estimators.keras.changes import changed  # noqa: E402
from expcore_plugins.estimators.keras.part import part_is  # noqa: E402

pytestmark = pytest.mark.tf

SHAPE = (5, 3, 4)
WRITTEN_DOWN = {
    "of the last axis": {},
    "of an axis between": {"axis": 1},
    "of two axes": {"axis": [1, 2]},
    "of two axes from the end": {"axis": [-1, -2]},
    "without scale": {"scale": False},
    "without centre": {"center": False},
    "with nothing": {"scale": False, "center": False},
    "with a large epsilon": {"epsilon": 0.3},
    "of doubles": {"dtype": "float64"},
    "in mixed precision": {"dtype": "mixed_bfloat16"},
}
LEFT_TO_KERAS = {
    "of rows": {"axis": [0, 1]},
    "by roots of mean squares": {"rms_scaling": True},
    "with Keras's epsilon": {"epsilon": None},
    "with one scale for all numbers": {"made": lambda: OneScale()},
    "with scales of each row": {"made": lambda: ScalesOfRows()},
    "with an axis that is a number": {"made": lambda: AxisOfItsOwn()},
}
OTHER_TYPES = {"int32": 20, "bool": 2, "float16": 9}


class OneScale(keras.layers.LayerNormalization):
    def build(self, shape):
        self.axis, self.beta = [len(shape) - 1], None
        self.gamma = self.add_weight(shape=(), name="gamma")


class ScalesOfRows(keras.layers.LayerNormalization):
    def call(self, x):
        own, self.gamma = self.gamma, self.gamma + 0.1 * keras.ops.sin(x)
        try:
            return super().call(x)
        finally:
            self.gamma = own


class AxisOfItsOwn(keras.layers.LayerNormalization):
    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], name="gamma")
        self.beta = self.add_weight(shape=shape[-1:], name="beta")


WITHIN = {
    "a function": lambda layer: lambda x: tf.function(layer)(x),
    "a branch": lambda layer: lambda x: tf.cond(tf.reduce_sum(x) < 1e9, lambda: layer(x), lambda: x),
    "a loop": lambda layer: (
        lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, layer(x) + 0.1 * x), (0, x))[1]
    ),
    "what is computed anew": lambda layer: tf.recompute_grad(lambda x: layer(x) ** 2),
}


def traced_as_a_part(step, spec, mends):
    with ExitStack() as stack:
        if mends:
            for place in normalization.changes():
                changed(stack, *place)
            stack.enter_context(part_is(None))
        return tf.function(step, autograph=False).get_concrete_function(spec)


def results(options, mends):
    """What a layer gives and its derivatives, and the kinds of operation of the graph."""
    random = np.random.default_rng(5)
    layer = options["made"]() if "made" in options else keras.layers.LayerNormalization(**options)
    shape = SHAPE if 0 in np.ravel(layer.axis) else (None, *SHAPE[1:])
    layer.build(shape)
    weights = layer.trainable_variables
    for weight in weights:
        weight.assign(random.normal(size=weight.shape))
    dtype = layer.compute_dtype
    x = tf.cast(random.normal(2.0, 3.0, SHAPE), dtype)
    factor = tf.cast(random.normal(size=SHAPE), dtype)
    sources = [w.value for w in weights]

    def step(x):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                given = layer(tf.tanh(0.2 * x))
            slopes = tape.gradient(given, [x, *sources], factor)
            steepness = tf.reduce_sum(tf.cast(slopes[0], "float64") ** 2)
        return given, slopes, outer.gradient(steepness, [x, *sources[:1]])

    traced = traced_as_a_part(step, tf.TensorSpec(shape, dtype), mends)
    kinds = {op.type for op in traced.graph.get_operations()}
    found = [None if one is None else tf.cast(one, "float64").numpy() for one in tf.nest.flatten(traced(x))]
    return found, kinds


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling")
@pytest.mark.parametrize("name", [*WRITTEN_DOWN, *LEFT_TO_KERAS])
def test_it_is_that_of_keras(name):
    options = {**WRITTEN_DOWN, **LEFT_TO_KERAS}[name]
    found, kinds = results(options, mends=True)
    wanted, _ = results(options, mends=False)
    noise = {"of doubles": 1e-12, "in mixed precision": 3e-2}.get(name, 2e-5)
    assert len(found) == len(wanted)
    for here, there in zip(found, wanted, strict=True):
        if here is None or there is None:
            assert here is there
        else:
            np.testing.assert_allclose(here, there, rtol=noise, atol=noise)
    assert ("IdentityN" in kinds) == (name in WRITTEN_DOWN)


@pytest.mark.parametrize("dtype", OTHER_TYPES)
def test_what_it_gives_is_rounded_to_the_type_of_what_it_is_given(dtype):
    """As Keras does, whatever the type of the layer."""
    layer = keras.layers.LayerNormalization()
    layer.build((None, *SHAPE[1:]))
    layer.gamma.assign(3 * tf.ones_like(layer.gamma))
    x = tf.cast(np.random.default_rng(5).integers(0, OTHER_TYPES[dtype], SHAPE), dtype)
    spec = tf.TensorSpec((None, *SHAPE[1:]), dtype)
    here, there = (traced_as_a_part(layer, spec, mends)(x).numpy() for mends in (True, False))
    np.testing.assert_allclose(here, there, rtol=2e-3)
    np.testing.assert_array_equal(here, tf.cast(tf.cast(here, dtype), "float32"))


@pytest.mark.parametrize("name", WITHIN)
def test_it_is_that_of_keras_within(name):
    layer = keras.layers.LayerNormalization()
    layer.build((None, *SHAPE[1:]))
    applied = WITHIN[name](layer)
    weights = [w.value for w in layer.trainable_variables]

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            given = tf.reduce_sum(applied(x) ** 3)
        return given, tape.gradient(given, [x, *weights])

    x = tf.constant(np.random.default_rng(5).normal(size=SHAPE), "float32")
    spec = tf.TensorSpec((None, *SHAPE[1:]))
    found, wanted = (tf.nest.flatten(traced_as_a_part(step, spec, mends)(x)) for mends in (True, False))
    for here, there in zip(found, wanted, strict=True):
        np.testing.assert_allclose(here, there, rtol=2e-5, atol=2e-5)
