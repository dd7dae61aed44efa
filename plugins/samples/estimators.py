"""Samples of the built-in estimators."""

from __future__ import annotations

from typing import Any

from expcore.conformance import Sample
from expcore.conformance.setting import linear_data


def keras() -> Sample:
    """A regression with dropout, a metric and momentum, so that going on exactly is not easy."""
    return Sample(
        factory=_estimator, train_input_fn=_shuffled, eval_input_fn=linear_data, needs=("tensorflow",)
    )


def _estimator(model_dir: str, config: Any) -> Any:
    from expcore_plugins.estimators.keras import KerasEstimator

    return KerasEstimator(_model, model_dir, config)


def _model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", metrics=["mae"], jit_compile=False)
    return model


def module() -> Sample:
    """The same by hand: a regression with dropout and momentum."""
    return Sample(
        factory=_module_estimator, train_input_fn=_shuffled, eval_input_fn=linear_data, needs=("tensorflow",)
    )


def _module_estimator(model_dir: str, config: Any) -> Any:
    from expcore_plugins.estimators.module import ModuleEstimator

    return ModuleEstimator(_module, model_dir, config)


def _module() -> Any:
    import tensorflow as tf

    class Regression(tf.Module):  # type: ignore[misc]
        """Weights, their momenta, and the generator of the dropout."""

        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.zeros([3, 1]))
            self.momenta = tf.Variable(tf.zeros([3, 1]))
            self.random = tf.random.Generator.from_seed(1)

        def _losses(self, x: Any, y: Any) -> Any:
            return (tf.matmul(x, self.weights)[:, 0] - tf.reshape(y, [-1])) ** 2

        def train_step(self, batch: Any) -> Any:
            x, y = (tf.cast(part, tf.float32) for part in batch)
            kept = tf.cast(self.random.uniform(tf.shape(x)) > 0.2, tf.float32)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(self._losses(x * kept, y))
            (gradient,) = tape.gradient(loss, [self.weights])
            self.momenta.assign(0.9 * self.momenta - 0.05 * gradient)
            self.weights.assign_add(self.momenta)
            return {"loss": loss}

        def test_step(self, batch: Any) -> Any:
            x, y = (tf.cast(part, tf.float32) for part in batch)
            return {"loss": tf.reduce_mean(self._losses(x, y))}

        def predict_step(self, x: Any) -> Any:
            return tf.matmul(tf.cast(x, tf.float32), self.weights)[:, 0]

    return Regression()


def _shuffled() -> Any:
    """Batches of 16 without end, made by tf.data alone, so that their position can be saved."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(linear_data()).shuffle(64).repeat().batch(16)
