"""The Keras model of an estimator: made once, checked, seeded, and copied for another estimator."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from expcore.calling import describe, describe_type, required_parameters
from expcore.errors import (
    ExpcoreError,
    InvalidArgument,
    InvalidType,
    NotCompiled,
    NotCopyable,
    listing,
    one_line,
)
from expcore_plugins.estimators.engine.seeds import seed_everything

_LOG = logging.getLogger(__name__)

MIN_TENSORFLOW = (2, 20)
MIN_KERAS = 3
_ADVICE = 'pip install "tensorflow>=2.20" "keras>=3"'


def require_keras() -> None:
    """Checks that the installed Keras can be used.

    Raises:
        ExpcoreError: Keras or TensorFlow is missing or too old, or Keras runs on another backend.
    """
    # Asked before Keras is imported, which would fail for want of the other library.
    _check_backend(_backend_asked_for())
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        raise ExpcoreError(
            f"KerasEstimator: Keras cannot be imported ({one_line(error)}); {_ADVICE}"
        ) from error
    if _version(keras.__version__) < (MIN_KERAS,):
        raise ExpcoreError(f"KerasEstimator: Keras is {keras.__version__}, it needs 3 or later; {_ADVICE}")
    if _version(tf.__version__) < MIN_TENSORFLOW:
        raise ExpcoreError(
            f"KerasEstimator: TensorFlow is {tf.__version__}, it needs 2.20 or later; {_ADVICE}"
        )
    _check_backend(keras.config.backend())


def _check_backend(name: str) -> None:
    if name != "tensorflow":
        raise ExpcoreError(
            f"KerasEstimator: Keras runs on {name!r}, it needs the backend 'tensorflow'; "
            "set KERAS_BACKEND=tensorflow before Keras is imported"
        )


def _backend_asked_for() -> str:
    """The backend that Keras will run on, by its own rules: the variable, else its file, else TensorFlow."""
    if "keras" in sys.modules:
        return "tensorflow"  # it says itself
    asked = os.environ.get("KERAS_BACKEND")
    if asked:
        return asked
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        with open(os.path.join(home, "keras.json")) as file:
            return str(json.load(file).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


class NativeModel:
    """Where the model comes from, and the model once it was asked for.

    Args:
        source: a compiled ``keras.Model``, a function of no arguments that returns one, or the path of a
            ``.keras`` file.

    Raises:
        InvalidType: none of them.
        NotCompiled: a model that was not compiled.
        InvalidArgument: a function that needs arguments, or a path that does not end with ``.keras``.
    """

    def __init__(self, source: Any) -> None:
        keras = sys.modules.get("keras")  # not imported: then no object can be a keras.Model
        self._source = source
        self._model: Any = None
        self._ready = False
        if isinstance(source, (str, os.PathLike)):
            path = os.fspath(source)
            if not path.endswith(".keras"):
                raise InvalidArgument(
                    f"KerasEstimator: model is the path {path!r}; it must end with '.keras', other "
                    "formats are not loaded since they can execute code: give a .keras file, or a function"
                )
            self._source = _Archive(path)
        elif keras is not None and isinstance(source, keras.Model):
            self._model = _checked(source, "model")
        elif not callable(source) or (hasattr(source, "train_on_batch") and not isinstance(source, type)):
            raise InvalidType(
                f"KerasEstimator: model is a {describe_type(type(source))}; give a compiled keras.Model "
                "(Keras 3), a function of no arguments that returns one, or the path of a .keras file"
            )
        elif required_parameters(source):
            raise InvalidArgument(
                f"KerasEstimator: the model function {describe(source)} needs "
                f"{listing(required_parameters(source))}; it is called without arguments, bind them with "
                "functools.partial"
            )

    @property
    def given(self) -> bool:
        """Whether the model itself was given, not a function that makes it."""
        return self._model is self._source

    def get(self, seed: int | None) -> Any:
        """Returns the model; the first call checks Keras, seeds, and makes it.

        Raises:
            ExpcoreError: Keras, its backend or TensorFlow cannot be used.
            InvalidType: the function returned something else.
            NotCompiled: the function returned a model that was not compiled.
        """
        if not self._ready:
            require_keras()
            seed_everything(seed)
            self._ready = True
        if self._model is None:
            self._model = _checked(self._source(), f"the model function {describe(self._source)}")
        return self._model

    def copy(self) -> Any:
        """Returns a source for another estimator that shares no variable with this one.

        A function is returned as it is, to be called again. A model is made again from its configuration,
        and gets the values that this model's variables have now.

        Raises:
            NotCopyable: the model cannot be made again, with the reason.
        """
        if not self.given:
            return self._source
        try:
            copied = _rebuilt(self._model)
            if not copied.compiled:
                raise NotCopyable(
                    "its compile() is overridden without get_compile_config() and compile_from_config()"
                )
        except Exception as error:
            raise NotCopyable(
                f"model {self._model.name!r} cannot be made again: {one_line(error)[:400]}; "
                "give KerasEstimator a function that returns the compiled model"
            ) from error
        return copied


class _Archive:
    """A function that loads the model of a ``.keras`` file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __repr__(self) -> str:
        return self._path

    def __call__(self) -> Any:
        import keras

        try:
            return keras.saving.load_model(self._path, safe_mode=True)
        except Exception as error:  # whatever a damaged or strange archive raises: Keras names no classes
            raise InvalidArgument(
                f"KerasEstimator: the model cannot be loaded from {self._path!r} ({one_line(error)[:300]}); "
                "give a .keras file of known classes, or a function that returns the model"
            ) from error


def _checked(model: Any, subject: str) -> Any:
    import keras

    if not isinstance(model, keras.Model):
        raise InvalidType(
            f"KerasEstimator: {subject} gave a {describe_type(type(model))}; a compiled keras.Model is needed"
        )
    if not model.compiled:
        raise NotCompiled(
            f"KerasEstimator: {subject} gave {model.name!r}, which is not compiled; call "
            "model.compile(optimizer=..., loss=..., metrics=...) first"
        )
    return model


def _rebuilt(model: Any) -> Any:
    copied = _cloned(model)
    if model.built and not copied.built:
        copied.build_from_config(model.get_build_config())
    copied.compile_from_config(model.get_compile_config())
    ours, theirs = model.variables, copied.variables
    if len(ours) != len(theirs):
        raise NotCopyable(f"its configuration gives {len(theirs)} variables instead of {len(ours)}")
    for mine, other in zip(ours, theirs, strict=True):
        other.assign(mine)
    return copied


def _cloned(model: Any) -> Any:
    """The same layers once more; clone_model knows unregistered ones, from_config subclasses of models."""
    import keras

    try:
        copied = keras.models.clone_model(model)
    except Exception as error:
        _LOG.debug("clone_model cannot copy %r, trying from_config: %s", model.name, one_line(error))
        copied = None
    # clone_model may give a plain Sequential, without the overrides of the class.
    return copied if type(copied) is type(model) else type(model).from_config(model.get_config())
