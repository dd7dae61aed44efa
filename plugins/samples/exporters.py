"""Samples of the built-in exporters: formats with a small Keras model, and those that need arguments."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from expcore.conformance import Sample
from expcore.conformance.setting import linear_data
from expcore.types import Format
from expcore_plugins.exporters.keras_archive import KerasArchive
from expcore_plugins.exporters.litert import LiteRT
from expcore_plugins.exporters.post_process import PostProcess
from expcore_plugins.exporters.saved_model import SavedModel
from expcore_plugins.exporters.steps import Steps


def saved_model() -> Sample:
    """As it is by default."""
    return _of_keras(SavedModel)


def keras_archive() -> Sample:
    """As it is by default."""
    return _of_keras(KerasArchive)


def litert() -> Sample:
    """As it is by default."""
    return _of_keras(LiteRT)


def _of_keras(factory: Callable[[], Format]) -> Sample:
    return Sample(
        factory=factory,
        estimator=_keras,
        train_input_fn=_batches,
        eval_input_fn=linear_data,
        needs=("tensorflow",),
    )


def steps() -> Sample:
    """One that exports some checkpoints of the trial, and not all."""
    return Sample(factory=_steps)


def _steps(format: Format, name: str | None = None) -> Steps:  # noqa: A002
    return Steps(format, [10, 25], name)


def post_process() -> Sample:
    """One that copies what the suite's format writes, which is the same for the same checkpoint."""
    return Sample(factory=_post_process, capabilities={"deterministic"})


def _post_process(format: Format) -> PostProcess:  # noqa: A002
    return PostProcess(format, _copy)


def _copy(base_dir: str, directory: str) -> None:
    shutil.copytree(base_dir, directory, dirs_exist_ok=True)


def _keras(model_dir: str) -> Any:
    from expcore_plugins.estimators.keras import KerasEstimator

    return KerasEstimator(_model, model_dir)


def _batches() -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(linear_data()).repeat().batch(16)


def _model() -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=False)
    return model
