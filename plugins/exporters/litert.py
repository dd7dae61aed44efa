"""The format "litert": the ``.tflite`` file that LiteRT (TensorFlow Lite) interpreters run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expcore.temporary import temporary_directory
from expcore_plugins.exporters.keras_model import check_filename, check_input_names
from expcore_plugins.exporters.saved_model import SavedModel

_SUBJECT = "format litert"


class LiteRT:
    """Writes the model for LiteRT interpreters; its signature ``serving_default`` has named inputs.

    Operations that LiteRT itself lacks are left to TensorFlow's (an interpreter with the Flex delegate).

    Args:
        filename: the file's name in the version's directory; ends with ``.tflite``.
        input_names: as of ``SavedModel``.

    Raises:
        InvalidArgument: ``filename`` ends otherwise or is a path, or ``input_names`` are not different names
            of letters, digits and underscores.
    """

    def __init__(self, filename: str = "model.tflite", input_names: Sequence[str] | None = None) -> None:
        self._filename = check_filename(filename, ".tflite", _SUBJECT)
        self._saved_model = SavedModel(input_names=check_input_names(input_names, _SUBJECT))

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        """Converts a checkpoint (None: the latest) and writes the file into ``directory``.

        Raises:
            InvalidType, InvalidArgument: as ``SavedModel.write``.
        """
        import tensorflow as tf

        with temporary_directory(directory) as saved:
            self._saved_model.write(estimator, saved, checkpoint_path)
            converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=["serving_default"])
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS,
                tf.lite.OpsSet.SELECT_TF_OPS,
            ]
            Path(directory, self._filename).write_bytes(converter.convert())
