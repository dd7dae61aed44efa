"""How expcore's conformance suite tries the format: with a small Keras model."""

from __future__ import annotations

from typing import Any

from expcore.conformance import Sample


def onnx() -> Sample:
    """Returns a sample with an estimator that the format can work with."""
    return Sample(estimator=_estimator, train_input_fn=_data, eval_input_fn=_data)


def _model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def _estimator(model_dir: str) -> Any:
    from expcore_plugins.estimators.keras import KerasEstimator

    return KerasEstimator(_model, model_dir)


def _data() -> Any:
    import numpy as np
    import tensorflow as tf

    x = np.random.default_rng(7).normal(size=(64, 3)).astype("float32")
    return tf.data.Dataset.from_tensor_slices((x, x.sum(axis=1, keepdims=True))).batch(16).repeat()
