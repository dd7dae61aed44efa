"""What the Keras formats share: the restored model of an estimator, its named inputs, names of files."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidArgument, InvalidType, listing

_NUMBERED = re.compile(r"(keras_tensor|input_layer)(_\d+)?")  # given by Keras, another in every process
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM)
_UNFIT = re.compile(r"\W", re.ASCII)


@contextmanager
def restored_model(
    estimator: Any, checkpoint_path: str | None, subject: str, *, modules: bool = False
) -> Iterator[Any]:
    """Gives an estimator's Keras model with a checkpoint's weights, while the context lasts.

    Args:
        estimator: one with ``restored(checkpoint_path)``; its errors go through.
        checkpoint_path: the checkpoint; None: the latest.
        subject: who asks, for the message.
        modules: a ``tf.Module`` is taken as well.

    Raises:
        InvalidType: the estimator has no ``restored``, or its model is not a ``keras.Model``.
        InvalidArgument: the model was never built or called.
    """
    if not callable(getattr(estimator, "restored", None)):
        raise InvalidType(
            f"{subject}: {describe(type(estimator))} has no restored(checkpoint_path) that gives its model; "
            "use an estimator that has, such as KerasEstimator, or another format"
        )
    import keras

    with estimator.restored(checkpoint_path) as model:
        if modules and is_module(model):
            yield model
            return
        if not isinstance(model, keras.Model):
            raise InvalidType(
                f"{subject}: the model of {describe(type(estimator))} is a {describe(type(model))}; "
                "a keras.Model is needed; use another format"
            )
        if not model.built:
            model(_inputs(model, subject))  # from its build config it has variables, but is not marked so
        yield model


def is_module(model: Any) -> bool:
    """Whether it is a ``tf.Module`` and no Keras model."""
    import keras
    import tensorflow as tf

    return isinstance(model, tf.Module) and not isinstance(model, keras.Model)


@contextmanager
def disk_errors(directory: str) -> Iterator[None]:
    """Raises TensorFlow's errors of a disk that refuses as OSError, which publishing tells as CannotWrite."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        for code in _DISK:
            if os.strerror(code) in str(error):
                raise OSError(code, os.strerror(code), directory) from error
        raise


def check_input_names(names: Sequence[str] | None, subject: str) -> tuple[str, ...] | None:
    """Returns given names of inputs.

    Raises:
        InvalidArgument: they are not different non-empty strings, or one has something else than ASCII
            letters, digits and underscores.
    """
    if names is None:
        return None
    fit = not isinstance(names, str) and all(isinstance(n, str) and n and not _UNFIT.search(n) for n in names)
    if not fit or not names or len(set(names)) != len(names):
        raise InvalidArgument(
            f"{subject}: input_names is {names!r}; it must be a list of different names of letters, digits "
            "and '_', one for each input of the model"
        )
    return tuple(names)


def check_filename(filename: str, suffix: str, subject: str) -> str:
    """Returns a file's name; InvalidArgument unless it is a plain name that ends with ``suffix``."""
    plain = isinstance(filename, str) and filename not in (suffix, "") and not set(filename) & set("/\\\0")
    if plain and filename.endswith(suffix):
        return filename
    raise InvalidArgument(
        f"{subject}: filename {filename!r} is not a file's name ending with {suffix!r}; give one"
    )


@dataclass(frozen=True)
class Signature:
    """The inputs of a Keras model by name, and the model as a function of them.

    Attributes:
        specs: a ``tf.TensorSpec`` for each input by its name.
        serve: gives the model's outputs for a mapping of tensors by name, as in inference.
    """

    specs: Mapping[str, Any]
    serve: Callable[[Mapping[str, Any]], Any]


def signature_of(
    model: Any, input_names: Sequence[str] | None, types: Mapping[str, Any], subject: str
) -> Signature:
    """Works out the named inputs of a built model.

    Names are ``input_names``, else the keys of a model that takes a mapping, else the names that the
    model's author gave to ``keras.Input``, else "inputs" ("inputs_2" and so on after the first). What is
    not a letter, digit or underscore becomes an underscore.

    Args:
        model: a ``keras.Model`` that was built or called.
        input_names: names to use instead, in the order of ``keras.tree.flatten``; None: as above.
        types: types by name, for subclassed models, which know only the shapes of their inputs; else they
            get the model's ``input_dtype``.
        subject: who asks, for messages.

    Raises:
        InvalidArgument: the model was never built, the number of names is not that of the inputs, or two
            inputs have one name.
    """
    import keras
    import tensorflow as tf

    structure = _inputs(model, subject)
    inputs = keras.tree.flatten(structure)
    names = list(input_names or _names(structure))
    if len(names) != len(inputs) or len(set(names)) != len(names):
        raise InvalidArgument(
            f"{subject}: names of inputs are {listing(names)} for the {len(inputs)} inputs of "
            f"{model.name!r}; give input_names=, a different one for each input"
        )
    symbolic = getattr(model, "inputs", None)
    specs = {
        name: tf.TensorSpec(
            tensor.shape, tensor.dtype if symbolic else types.get(name, tensor.dtype), name=name
        )
        for name, tensor in zip(names, inputs, strict=True)
    }

    def serve(features: Mapping[str, Any]) -> Any:
        return model(keras.tree.pack_sequence_as(structure, [features[n] for n in names]), training=False)

    return Signature(specs, serve)


def _inputs(model: Any, subject: str) -> Any:
    """The structure that the model is called with, of symbolic tensors."""
    import keras

    if getattr(model, "inputs", None):
        return model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise InvalidArgument(
            f"{subject}: the inputs of model {model.name!r} are unknown, it was never called; "
            "build it with its input's shape or call it once"
        )
    return keras.tree.map_shape_structure(
        lambda shape: keras.KerasTensor((None, *shape[1:]), model.input_dtype), shapes
    )


def _names(structure: Any) -> list[str]:
    import keras

    names: list[str] = []
    for path, tensor in keras.tree.flatten_with_path(structure):
        unnamed = "inputs" if not names else f"inputs_{len(names) + 1}"
        given = unnamed if _NUMBERED.fullmatch(tensor.name) else tensor.name
        names.append(clean(path[-1] if path and isinstance(path[-1], str) else given))
    return names


def clean(name: str) -> str:
    """Returns a name as signatures can have it."""
    return _UNFIT.sub("_", name)
