"""The named inputs of a Keras model, and a batch to try them with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from expcore.errors import InvalidArgument, listing

SUBJECT = "format 'onnx'"

_NUMBERED = re.compile(r"(keras_tensor|input_layer)(_\d+)?")  # given by Keras, another in every process
_UNFIT = re.compile(r"\W", re.ASCII)
_EXAMPLES = 2
_FREE = 32  # for sizes that the model leaves open, such as an image's


def check_names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Returns given names of inputs; InvalidArgument unless they are different words, at least one."""
    if names is None:
        return None
    fit = not isinstance(names, str) and all(isinstance(n, str) and n and not _UNFIT.search(n) for n in names)
    if not fit or not names or len(set(names)) != len(names):
        raise InvalidArgument(
            f"{SUBJECT}: input_names is {names!r}; it must be a list of different names of letters, digits "
            "and '_', one for each input of the model"
        )
    return tuple(names)


def signature(model: Any, names: Sequence[str] | None) -> Any:
    """Returns what the model is called with, as ``keras.InputSpec`` with names and any batch size.

    Args:
        model: a ``keras.Model`` that was built or called.
        names: names for the inputs in the order of ``keras.tree.flatten``; None: the keys of a model that
            takes a mapping, else the names given to ``keras.Input``, else "inputs", "inputs_2" and so on.

    Raises:
        InvalidArgument: the inputs are unknown, or the names are not one for each, all different.
    """
    import keras

    structure = _structure(model)
    if not model.built:
        model(structure)  # remade from its build config it has variables, but is not marked so
    flat = keras.tree.flatten_with_path(structure)
    chosen = list(names) if names is not None else [_name(i, *each) for i, each in enumerate(flat)]
    if len(chosen) != len(flat) or len(set(chosen)) != len(chosen):
        raise InvalidArgument(
            f"{SUBJECT}: names of inputs are {listing(chosen)} for the {len(flat)} inputs of {model.name!r}; "
            "give input_names=, a different one for each input"
        )
    specs = [
        keras.InputSpec(shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=name)
        for name, (_, tensor) in zip(chosen, flat, strict=True)
    ]
    return keras.tree.pack_sequence_as(structure, specs)


def _structure(model: Any) -> Any:
    import keras

    if getattr(model, "inputs", None):
        return model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise InvalidArgument(
            f"{SUBJECT}: the inputs of model {model.name!r} are unknown, it was never called; "
            "build it with its input's shape or call it once"
        )
    return keras.tree.map_shape_structure(lambda shape: keras.KerasTensor(shape, model.input_dtype), shapes)


def _name(i: int, path: tuple[Any, ...], tensor: Any) -> str:
    if path and isinstance(path[-1], str):
        name = path[-1]
    elif _NUMBERED.fullmatch(tensor.name):
        name = f"inputs_{i + 1}" if i else "inputs"
    else:
        name = tensor.name
    return _UNFIT.sub("_", name)


def batch(specs: Any) -> Any | None:
    """Returns arrays to try a model with, the same for the same inputs; None where one of them is text.

    Two examples: normal random numbers, or zeros and ones for whole numbers and truth values, which any
    vocabulary has. A size that the model leaves open is 32.
    """
    import keras
    import numpy as np

    if any(spec.dtype == "string" for spec in keras.tree.flatten(specs)):
        return None
    random = np.random.default_rng(0)

    def array(spec: Any) -> Any:
        shape = (_EXAMPLES, *(_FREE if size is None else size for size in spec.shape[1:]))
        drawn = random.normal(size=shape) if "float" in spec.dtype else random.integers(0, 2, size=shape)
        return drawn.astype(keras.backend.standardize_dtype(spec.dtype))

    return keras.tree.map_structure(array, specs)
