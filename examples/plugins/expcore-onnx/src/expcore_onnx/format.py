"""The format "onnx": what ONNX Runtime and other engines read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from numbers import Real
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidArgument, InvalidType, PluginLoadError, one_line
from expcore_onnx.inputs import SUBJECT, check_names, signature
from expcore_onnx.verification import check_file, check_operations, compare

_NEEDS = {"onnx": "onnx>=1.18", "tf2onnx": "tf2onnx>=1.17"}
_OLDEST = 9  # that tf2onnx writes


class Onnx:
    """Writes ``model.onnx``, the model as in inference, of a Keras estimator.

    The batch size is free. Inputs are called by ``input_names``, else by the keys of a model that takes a
    mapping, else by the names given to ``keras.Input``, else "inputs", "inputs_2" and so on. Outputs of a
    model that gives a mapping have its keys as names; others are "Identity:0", "Identity_1:0" and so on.

    Args:
        opset_version: version of ONNX's operators, at least 9; None: the converter's preferred one (15).
        input_names: names for the model's inputs, in the order of ``keras.tree.flatten``; None: as above.
        verify: whether what was written is checked: by ``onnx.checker``, and where ONNX Runtime is
            installed by comparing outputs for a small random batch.
        tolerance: by how much outputs may differ, relative to the largest of the Keras model's or to 1, >= 0.
            Float32 models differ by 1e-6 and less, those of mixed precision by 1e-4 and more.

    Raises:
        PluginLoadError: onnx or tf2onnx is not installed.
        InvalidArgument: an argument is not as above.
    """

    def __init__(
        self,
        opset_version: int | None = None,
        input_names: Sequence[str] | None = None,
        verify: bool = True,
        tolerance: float = 1e-4,
    ) -> None:
        for name, requirement in _NEEDS.items():
            if find_spec(name) is None:
                raise PluginLoadError(f"{SUBJECT}: {name} is not installed; pip install '{requirement}'")
        self._opset = _check_opset(opset_version)
        self._names = check_names(input_names)
        if not isinstance(verify, bool):
            raise InvalidArgument(f"{SUBJECT}: verify is {verify!r}; it must be True or False")
        self._verify = verify
        self._tolerance = _check_tolerance(tolerance)

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        """Writes ``model.onnx`` of a checkpoint into ``directory``.

        Args:
            estimator: one with ``restored(checkpoint_path)`` that gives a ``keras.Model``.
            directory: an empty directory.
            checkpoint_path: the checkpoint; None: the latest.

        Raises:
            InvalidType: the estimator has no ``restored``, or its model is not a ``keras.Model``.
            InvalidArgument: the inputs cannot be named, the model has operations that ONNX lacks, or the
                converter does not know the opset version.
            OnnxDiffers: what was written is not valid, or gives other outputs.
        """
        path = os.path.join(directory, "model.onnx")
        with _restored(estimator, checkpoint_path) as model:
            specs = signature(model, self._names)
            self._convert(model, specs, path)
            check_operations(path, model)
            if self._verify:
                check_file(path)
                compare(path, model, specs, self._tolerance)

    def _convert(self, model: Any, specs: Any, path: str) -> None:
        from tf2onnx.constants import OPSET_TO_IR_VERSION

        newest = max(OPSET_TO_IR_VERSION)
        if self._opset is not None and self._opset > newest:
            raise InvalidArgument(
                f"{SUBJECT}: opset_version is {self._opset}; the installed tf2onnx writes {_OLDEST} to "
                f"{newest}"
            )
        try:
            model.export(
                path, format="onnx", verbose=False, input_signature=[specs], opset_version=self._opset
            )
        except (ValueError, NotImplementedError, RuntimeError) as error:
            raise InvalidArgument(
                f"{SUBJECT}: model {model.name!r} cannot be converted ({one_line(error)}); change its "
                "layers, or export another format, such as saved_model"
            ) from error


@contextmanager
def _restored(estimator: Any, checkpoint_path: str | None) -> Iterator[Any]:
    """Gives the estimator's Keras model with the checkpoint's weights, built."""
    if not callable(getattr(estimator, "restored", None)):
        raise InvalidType(
            f"{SUBJECT}: {describe(type(estimator))} has no restored(checkpoint_path) that gives its model; "
            "use an estimator that has, such as KerasEstimator, or another format"
        )
    import keras

    with estimator.restored(checkpoint_path) as model:
        if not isinstance(model, keras.Model):
            raise InvalidType(
                f"{SUBJECT}: the model of {describe(type(estimator))} is a {describe(type(model))}; "
                "a keras.Model is needed; use another format"
            )
        yield model


def _check_opset(version: int | None) -> int | None:
    if version is None or (isinstance(version, int) and not isinstance(version, bool) and version >= _OLDEST):
        return version
    raise InvalidArgument(
        f"{SUBJECT}: opset_version is {version!r}; it must be a whole number of at least {_OLDEST}, or None"
    )


def _check_tolerance(value: float) -> float:
    if isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < math.inf:
        return float(value)
    raise InvalidArgument(f"{SUBJECT}: tolerance is {value!r}; it must be a finite number of at least 0")
