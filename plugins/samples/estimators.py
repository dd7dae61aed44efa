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


def _shuffled() -> Any:
    """Batches of 16 without end, made by tf.data alone, so that their position can be saved."""
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(linear_data()).shuffle(64).repeat().batch(16)
