"""Warm start: variables that begin with the values of another model's checkpoint."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from expcore.calling import describe_type
from expcore.errors import CheckpointCorrupt, InvalidArgument, InvalidType, ModelMismatch, listing, one_line
from expcore_plugins.estimators.engine.directory import checkpoints, is_complete
from expcore_plugins.estimators.engine.saved import ABOUT_KEY, VALUE, SavedCheckpoint, reading
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.trainable import MODEL, Named

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """Where variables of a new model begin.

    It counts before the first step of a model directory without a checkpoint, and never again. The
    optimizer begins anew.

    A variable takes the value of the same name. Names are the paths of Keras variables
    (``encoder/dense/kernel``), those of TensorFlow's in other models. Where there is no such name, its rest
    after the first part counts, if one name only has that rest, or is it: Keras numbers the names of models
    that were not named, and leaves them out where it loads a Sequential model.

    Args:
        path: a checkpoint of an expcore estimator, a model directory (its latest checkpoint), a checkpoint
            that other programs wrote by TensorFlow, or a ``.keras`` file, which is loaded in Keras's safe
            mode.
        variables: a regular expression: every floating-point variable of the model whose name has a match
            from its beginning has to find its value. ``"encoder/.*"`` takes one layer,
            ``"(?!head/).*"`` all but one.
        names: names in the checkpoint by the names of this model, where they differ.

    Raises:
        InvalidArgument: ``path`` or an element of ``names`` is empty, or ``variables`` is no regular
            expression.
        InvalidType: one of them is of another type.
    """

    path: str | os.PathLike[str]
    variables: str = ".*"
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)) or not isinstance(self.variables, str):
            raise InvalidType(
                f"warm_start: path is {self.path!r} and variables is {self.variables!r}; give a path and a "
                "regular expression"
            )
        if not os.fspath(self.path):
            raise InvalidArgument(
                "warm_start: path is empty; give a checkpoint, a model directory or a .keras file"
            )
        try:
            re.compile(self.variables)
        except re.error as error:
            raise InvalidArgument(
                f"warm_start: variables is {self.variables!r}, which is no regular expression ({error})"
            ) from error
        if not isinstance(self.names, Mapping) or not all(
            isinstance(name, str) and name for pair in self.names.items() for name in pair
        ):
            raise InvalidType(
                f"warm_start: names is {self.names!r}; give a mapping of this model's names to others"
            )

    def apply(self, state: LiveState) -> None:
        """Gives the variables their values; everything is read and checked before the first one changes.

        Raises:
            InvalidArgument: ``path`` is not there, or no variable has such a name.
            ModelMismatch: a variable finds no value, or one of another shape.
            CheckpointCorrupt: the checkpoint cannot be read.
        """
        everything = state.section(MODEL)
        wanted = [n for n in everything if n.variable.dtype.is_floating and re.match(self.variables, n.path)]
        self._check_names(everything)
        if not wanted:
            raise InvalidArgument(
                f"warm_start: variables={self.variables!r} matches none of the model's "
                f"{listing([n.path for n in everything])}"
            )
        source = _source(os.fspath(self.path))
        values = [self._value(n, source) for n in wanted]
        for named, value in zip(wanted, values, strict=True):
            named.variable.assign(value)
        state.holds = None
        _LOG.info("%d of %d variables begin with the values of %s", len(wanted), len(everything), self.path)

    def _check_names(self, everything: Any) -> None:
        unknown = sorted(set(self.names) - {n.path for n in everything})
        if unknown:
            raise InvalidArgument(
                f"warm_start: names has {listing(unknown)}; the model's variables are "
                f"{listing([n.path for n in everything])}"
            )

    def _value(self, named: Named, source: Mapping[str, Any]) -> Any:
        name = self.names.get(named.path, named.path)
        if name not in source:
            alike = [] if named.path in self.names else _alike(name, source)
            if len(alike) != 1:
                raise ModelMismatch(
                    f"warm_start: {os.fspath(self.path)!r} has no value for {named.path!r}; it has "
                    f"{listing(sorted(source))}: leave it out by variables=, or say "
                    "by names= what it is called there"
                )
            name = alike[0]
        value = source[name]() if callable(source[name]) else source[name]
        if not named.variable.shape.is_compatible_with(value.shape):
            raise ModelMismatch(
                f"warm_start: {named.path!r} has shape {list(named.variable.shape)} and {name!r} in "
                f"{os.fspath(self.path)!r} has {list(value.shape)}; leave it out by variables="
            )
        return value.astype(named.variable.dtype.as_numpy_dtype)


def warm_start_of(subject: str, given: Any) -> WarmStart | None:
    """Returns the warm start that was given: as such, as a path, or as a mapping of its parameters.

    Raises:
        InvalidType, InvalidArgument: it is none of them, or one of its parameters is wrong.
    """
    if given is None or isinstance(given, WarmStart):
        return given
    if isinstance(given, (str, os.PathLike)):
        return WarmStart(given)
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - {"path", "variables", "names"}, key=str)
        if unknown or "path" not in given:
            raise InvalidArgument(
                f"{subject}: warm_start has {listing(sorted(map(str, given)))}; it takes path, "
                "variables and names"
            )
        return WarmStart(**given)
    raise InvalidType(
        f"{subject}: warm_start is a {describe_type(type(given))}; give a WarmStart, a path, or "
        "a mapping with path, variables and names"
    )


def _alike(name: str, source: Mapping[str, Any]) -> list[str]:
    """The names that differ in the model's name only: one has none, or both have another."""
    for same in (
        lambda other: other == _rest(name) or _rest(other) == name,
        lambda other: _rest(other) == _rest(name),
    ):
        found = [other for other in source if same(other)]
        if found:
            return found
    return []


def _rest(name: str) -> str:
    return name.partition("/")[2] or name


def _source(path: str) -> Mapping[str, Any]:
    """The values by name: arrays, or functions that read them."""
    if path.endswith(".keras"):
        return _from_archive(path)
    if os.path.isdir(path):
        found = checkpoints(path)
        if not found:
            raise InvalidArgument(
                f"warm_start: the directory {path!r} has no whole checkpoint; give another path"
            )
        path = found[-1]
    if not is_complete(path):
        raise InvalidArgument(
            f"warm_start: there is no checkpoint {path!r}; give the path of one without its ending .index, a "
            "model directory or a .keras file"
        )
    import tensorflow as tf

    with reading(path):
        reader = tf.train.load_checkpoint(path)
        keys = reader.get_variable_to_shape_map()
    if ABOUT_KEY in keys:
        return SavedCheckpoint(path).named_values(MODEL)

    def read(key: str) -> Any:
        with reading(path):
            return reader.get_tensor(key)

    return {key.removesuffix(f"/{VALUE}"): (lambda key=key: read(key)) for key in keys if key[:1] != "_"}


def _from_archive(path: str) -> Mapping[str, Any]:
    import keras

    if not os.path.isfile(path):
        raise InvalidArgument(f"warm_start: there is no file {path!r}; give another path")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or strange archive raises: Keras names no classes
        raise CheckpointCorrupt(f"warm_start: {path!r} cannot be loaded ({one_line(error)[:300]})") from error
    return {v.path: v.numpy() for v in model.variables}
