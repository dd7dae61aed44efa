"""The model of a ModuleEstimator: made once, and checked."""

from __future__ import annotations

from typing import Any

from expcore.calling import describe, describe_type, required_parameters
from expcore.errors import ExpcoreError, InvalidArgument, InvalidType, listing, one_line
from expcore_plugins.estimators.engine.seeds import seed_everything


class NativeModule:
    """Where the model comes from, and the model once it was asked for.

    Args:
        source: an object with ``train_step``, or a function of no arguments that returns one.

    Raises:
        InvalidType: neither of them.
        InvalidArgument: a function that needs arguments.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._model: Any = None
        self.made = not _is_model(source)
        if self.made:
            if not callable(source):
                raise InvalidType(
                    f"ModuleEstimator: model is a {describe_type(type(source))}; give an object with "
                    "train_step(batch), such as a tf.Module or Functions(...), or a function that returns one"
                )
            if required_parameters(source):
                raise InvalidArgument(
                    f"ModuleEstimator: the model function {describe(source)} needs "
                    f"{listing(required_parameters(source))}; it is called without arguments, bind them with "
                    "functools.partial"
                )

    def get(self, seed: int | None) -> Any:
        """Returns the model; the first call seeds and makes it.

        Raises:
            ExpcoreError: TensorFlow cannot be imported.
            InvalidType: the function returned something without ``train_step``.
        """
        if self._model is None:
            try:
                import tensorflow  # noqa: F401
            except ImportError as error:
                raise ExpcoreError(
                    f"ModuleEstimator: TensorFlow cannot be imported ({one_line(error)}); "
                    "pip install tensorflow"
                ) from error
            seed_everything(seed)
            self._model = self.source() if self.made else self.source
            if not _is_model(self._model):
                raise InvalidType(
                    f"ModuleEstimator: the model function {describe(self.source)} returned a "
                    f"{describe_type(type(self._model))}; it must have train_step(batch)"
                )
        return self._model


def _is_model(value: Any) -> bool:
    return not isinstance(value, type) and callable(getattr(value, "train_step", None))
