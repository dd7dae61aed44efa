"""Checks of a written ONNX file: by its standard, and against the Keras model's own outputs."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from expcore.errors import ExpcoreError, InvalidArgument, one_line
from expcore_onnx.inputs import SUBJECT, batch

_LOG = logging.getLogger(__name__)


class OnnxDiffers(ExpcoreError, RuntimeError):
    """A written ONNX model is no valid one, or gives other outputs than the Keras model."""

    exit_code = 70


def check_operations(path: str, model: Any) -> None:
    """Raises InvalidArgument for operations that ONNX lacks; the converter leaves those in the file."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    unknown = sorted({n.op_type for n in graph.node if not onnx.defs.has(n.op_type, n.domain)})
    if unknown:
        raise InvalidArgument(
            f"{SUBJECT}: model {model.name!r} has operations that the converter cannot write as ONNX: "
            f"{', '.join(unknown)}; move the layers that use them out of the model, or export another "
            "format, such as saved_model"
        )


def check_file(path: str) -> None:
    """Checks a file with ``onnx.checker``, shapes and types included.

    Raises:
        OnnxDiffers: it is not valid.
    """
    import onnx

    try:
        onnx.checker.check_model(path, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise OnnxDiffers(
            f"{SUBJECT}: the file is no valid ONNX ({one_line(error)}); try another opset_version, or "
            "verify=False to have it all the same"
        ) from error


def compare(path: str, model: Any, specs: Any, tolerance: float) -> None:
    """Compares the outputs of file and model for a small batch, where ONNX Runtime is installed.

    Without it, or where an input is text, one line in the log says so.

    Raises:
        OnnxDiffers: ONNX Runtime refuses the file, or an output differs by more than ``tolerance``, relative
            to its largest value or to 1.
    """
    if find_spec("onnxruntime") is None:
        _LOG.info("%s: outputs are not compared; pip install 'expcore-onnx[verify]' has it done", SUBJECT)
        return
    arrays = batch(specs)
    if arrays is None:
        _LOG.info("%s: outputs are not compared, as an input is text", SUBJECT)
        return
    import keras
    import numpy as np

    expected = [np.asarray(t) for t in keras.tree.flatten(model(arrays, training=False))]
    found = _run(path, specs, arrays)
    for i, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        same_shape = ours.shape == theirs.shape
        difference = _difference(ours, theirs) if same_shape else np.inf
        if not difference <= tolerance:
            told = f"differs by {difference:.3g}" if same_shape else f"has shape {theirs.shape}"
            raise OnnxDiffers(
                f"{SUBJECT}: output {i} of the ONNX model {told} from the Keras model's of shape "
                f"{ours.shape}; at most {tolerance:g} is allowed; pass tolerance=, or verify=False to have "
                "it all the same"
            )


def _run(path: str, specs: Any, arrays: Any) -> list[Any]:
    import keras
    import onnxruntime

    feed = {
        spec.name: array
        for spec, array in zip(keras.tree.flatten(specs), keras.tree.flatten(arrays), strict=True)
    }
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return list(session.run(None, feed))
    except Exception as error:  # its errors have no common base but this
        raise OnnxDiffers(
            f"{SUBJECT}: ONNX Runtime {onnxruntime.__version__} cannot run the file ({one_line(error)}); "
            "try another opset_version, or verify=False to have it all the same"
        ) from error


def _difference(ours: Any, theirs: Any) -> float:
    """The greatest difference, relative to the largest of our values or to 1."""
    import numpy as np

    if not ours.size:
        return 0.0
    one, other = ours.astype(np.float64), theirs.astype(np.float64)
    return float(np.max(np.abs(one - other)) / max(1.0, np.max(np.abs(one))))
