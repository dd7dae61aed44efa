"""The same numbers as model.fit with layers that draw, keep a state, or do not train."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype("float32")
IMAGES = RNG.normal(size=(24, 6, 6, 2)).astype("float32")


def slices(*parts, size=10, **options):
    return lambda: tf.data.Dataset.from_tensor_slices(parts).batch(size, **options)


def sequential(*layers, freeze=()):
    def make():
        network = keras.Sequential([layer() for layer in layers])
        for i in freeze:
            network.layers[i].trainable = False
        network.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss="mse", metrics=["mae"])
        return network

    return make


def inputs():
    return keras.Input((4,))


def hidden():
    return L.Dense(3, "tanh")


def one():
    return L.Dense(1)


def test_batch_norm(like_fit):
    compared = like_fit(
        sequential(inputs, hidden, lambda: L.BatchNormalization(momentum=0.8), one), slices(X, Y)
    )
    mean = compared.reference.layers[1].moving_mean.numpy()
    assert np.all(mean != 0)
    assert compared.ours.metrics["loss"] != compared.ours.evaluated["loss"]


def test_noise_and_dropout(like_fit):
    drawing = [
        lambda: L.GaussianNoise(0.3),
        lambda: L.Dropout(0.3),
        lambda: L.AlphaDropout(0.2, seed=3),
        lambda: L.GaussianDropout(0.2),
    ]
    compared = like_fit(sequential(inputs, hidden, *drawing, one), slices(X, Y))
    assert sum("seed_generator" in v.path for v in compared.reference.variables) == 4


class Drawing(L.Layer):
    """Draws by a generator of its own, in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(5)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), stddev=0.1, seed=self.generator)


def test_a_layer_that_draws_in_evaluations_too(like_fit):
    like_fit(sequential(inputs, Drawing, one), slices(X, Y))


def test_augmented_images_and_convolutions(like_fit):
    like_fit(
        sequential(
            lambda: keras.Input((6, 6, 2)),
            lambda: L.RandomFlip(seed=1),
            lambda: L.RandomTranslation(0.2, 0.2),
            lambda: L.Conv2D(3, 3),
            lambda: L.SpatialDropout2D(0.3),
            L.GlobalMaxPooling2D,
            one,
        ),
        slices(IMAGES, Y[:24]),
        evaluate=False,
    )


def test_layers_whose_weights_have_a_state(like_fit):
    like_fit(
        sequential(inputs, lambda: L.SpectralNormalization(L.Dense(3)), L.LayerNormalization, one),
        slices(X, Y),
        evaluate=False,
    )


def test_attention(like_fit):
    def make():
        x = keras.Input((6, 2))
        attended = L.MultiHeadAttention(2, 2, dropout=0.2)(x, x, use_causal_mask=True)
        network = keras.Model(x, L.Dense(1)(L.GlobalAveragePooling1D()(L.Add()([x, attended]))))
        network.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
        return network

    like_fit(make, slices(IMAGES[:, 0], Y[:24]), evaluate=False)


def test_stateful_recurrence(like_fit):
    """The state goes from batch to batch, and from training to evaluation."""
    stateful = sequential(
        lambda: keras.Input(batch_shape=(8, 4, 1)),
        lambda: L.SimpleRNN(3, stateful=True, dropout=0.2, unroll=True),
        one,
    )
    compared = like_fit(stateful, slices(X[..., None], Y, size=8, drop_remainder=True))
    assert compared.reference.layers[0].states[0].numpy().any()


@pytest.mark.parametrize("again", [False, True], ids=["an evaluation between", "a new estimator"])
def test_the_state_of_recurrence_belongs_to_the_training(like_fit, again):
    """It is in the checkpoint, and an evaluation does not move it."""
    data = slices(X[..., None], Y, size=8)
    stateful = sequential(
        lambda: keras.Input(batch_shape=(8, 4, 1)), lambda: L.SimpleRNN(3, stateful=True, unroll=True), one
    )
    reference = like_fit.seeded(stateful)
    reference.fit(data(), shuffle=False, verbose=0)
    estimator = like_fit.estimator(lambda: like_fit.seeded(stateful), 1)
    estimator.train(data, max_steps=3)
    if again:
        estimator = like_fit.estimator(lambda: like_fit.seeded(stateful), 1)
    else:
        estimator.evaluate(slices(-X[..., None], Y, size=8))
    estimator.train(data, max_steps=6)
    with estimator.restored() as model:
        ours = [v.numpy() for v in [*model.variables, *model.layers[0].states]]
    theirs = [v.numpy() for v in [*reference.variables, *reference.layers[0].states]]
    like_fit.same_values(ours, theirs, "variables and state")


def test_frozen_layers(like_fit):
    frozen = sequential(inputs, hidden, L.BatchNormalization, hidden, one, freeze=(0, 1))
    compared = like_fit(frozen, slices(X, Y), evaluate=False)
    assert len(compared.reference.trainable_variables) == 4
    assert not compared.reference.layers[1].moving_mean.numpy().any()


def test_a_layer_frozen_after_compile(like_fit):
    def make():
        network = sequential(inputs, hidden, one)()
        network.layers[0].trainable = False
        return network

    like_fit(make, slices(X, Y), evaluate=False)


def test_normalisation_adapted_to_data(like_fit):
    def normalised():
        layer = L.Normalization()
        layer.adapt(X)
        return layer

    like_fit(sequential(inputs, normalised, one), slices(X, Y), evaluate=False)
