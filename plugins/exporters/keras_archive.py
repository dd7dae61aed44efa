"""The format "keras_archive": the ``.keras`` file that ``keras.saving.load_model`` reads."""

from __future__ import annotations

import os
from typing import Any

from expcore_plugins.exporters.keras_model import check_filename, restored_model

_SUBJECT = "format keras_archive"


class KerasArchive:
    """Writes the model with its weights as one ``.keras`` file.

    Args:
        filename: the file's name in the version's directory; ends with ``.keras``.

    Raises:
        InvalidArgument: ``filename`` ends otherwise, or is a path.
    """

    def __init__(self, filename: str = "model.keras") -> None:
        self._filename = check_filename(filename, ".keras", _SUBJECT)

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        """Writes the archive of a checkpoint (None: the latest) into ``directory``.

        Raises:
            InvalidType: the estimator has no ``restored``, or its model is not a ``keras.Model``.
        """
        with restored_model(estimator, checkpoint_path, _SUBJECT) as model:
            model.save(os.path.join(directory, self._filename))
