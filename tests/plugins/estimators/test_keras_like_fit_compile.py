"""The same numbers as model.fit for what compile() says of how a step runs: XLA, precision, eagerly."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("int32") + (X[:, 2] > 1)


def data(size=8):
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(size)


def rich(policy=None, **options):
    """Dropout, batch norm, a regulariser, several metrics."""

    def make():
        if policy is not None:
            keras.config.set_dtype_policy(policy)
        layers = [
            keras.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.01)),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
        network = keras.Sequential(layers)
        momentum = keras.optimizers.SGD(0.1, momentum=0.9)
        loss = "sparse_categorical_crossentropy"
        network.compile(**{"optimizer": momentum, "loss": loss, "metrics": ["accuracy"], **options})
        return network

    return make


@pytest.mark.parametrize("jit", [True, False])
def test_jit_compile(like_fit, jit):
    compared = like_fit(rich(jit_compile=jit), data, evaluate=jit, warm=jit)
    compiled = jit and not like_fit.exact  # Keras has no XLA where op determinism is on
    assert compared.reference.jit_compile == compiled
    with compared.estimator.restored() as model:
        assert model.jit_compile == compiled


@pytest.mark.parametrize(
    ("policy", "jit"), [("mixed_float16", True), ("mixed_float16", False), ("mixed_bfloat16", False)]
)
def test_mixed_precision(like_fit, policy, jit):
    compared = like_fit(rich(policy, jit_compile=jit), data, evaluate=policy == "mixed_float16" and not jit)
    layer = compared.reference.layers[0]
    assert (layer.compute_dtype, layer.dtype) == (policy.removeprefix("mixed_"), "float32")
    scaled = isinstance(compared.reference.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")


def test_mixed_float16_without_a_loss_scale(like_fit):
    compared = like_fit(rich("mixed_float16", auto_scale_loss=False), data, evaluate=False)
    assert type(compared.reference.optimizer) is keras.optimizers.SGD


@pytest.mark.parametrize("steps", [1, 7, 32])
def test_steps_per_execution(like_fit, steps):
    """Ten batches: fit makes ten steps whatever is given, with a rest in its last execution."""
    compared = like_fit(rich(steps_per_execution=steps), data, evaluate=steps == 7)
    assert int(compared.reference.optimizer.iterations) == 10


def test_run_eagerly(like_fit):
    compared = like_fit(rich(run_eagerly=True), lambda: data(20))
    assert compared.reference.run_eagerly


def test_a_number_of_steps_of_endless_data(like_fit):
    """Four steps more than a pass has, whose last batch is smaller; by a model that is given itself."""
    like_fit(rich(), lambda: data(12).repeat(), steps=11, instance=True, evaluate=False)


def test_epochs_of_fit_are_windows_of_metrics(like_fit):
    """Where a window of metrics is as long as an epoch, their metrics are the same."""
    reference = like_fit.seeded(rich())
    history = reference.fit(data(), epochs=2, shuffle=False, verbose=0).history
    estimator = like_fit.estimator(lambda: like_fit.seeded(rich()), log_step_count_steps=10)
    epochs = AtEach(10)
    estimator.train(lambda: data().repeat(), hooks=[epochs], max_steps=20)
    ours = [metrics[name] for name in history for metrics in epochs.seen]
    like_fit.same_values(ours, [value for values in history.values() for value in values], list(history))


class AtEach:
    def __init__(self, every):
        self.every, self.seen = every, []

    def begin(self, run):
        pass

    def next_step(self, step):
        return (step // self.every + 1) * self.every

    def after_steps(self, run):
        if run.step % self.every == 0:
            self.seen.append(dict(run.metrics))

    def end(self, run):
        pass

    def failed(self, run, error):
        pass


def test_shuffled_data_with_a_seed(like_fit):
    def shuffled():
        ready = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(80, seed=3)
        return ready.repeat(2).batch(16).map(lambda x, y: (x + 1, y), tf.data.AUTOTUNE).prefetch(2)

    like_fit(rich(), shuffled, evaluate=False)
