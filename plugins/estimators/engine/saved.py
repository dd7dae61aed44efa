"""A checkpoint on disk: what it holds, read and checked before anything live is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

from expcore.errors import CheckpointCorrupt, ExpcoreError, ModelMismatch
from expcore_plugins.estimators.engine.directory import identity
from expcore_plugins.estimators.engine.messages import brief
from expcore_plugins.estimators.engine.trainable import OPTIMIZER, Named

FORMAT = 2
_NUMBER = re.compile(r"_\d+(?=[_/:]|$)")
VALUE = ".ATTRIBUTES/VARIABLE_VALUE"
STEP_KEY = f"step/{VALUE}"
ABOUT_KEY = "about/.ATTRIBUTES/py_state"
POSITION_KEY = "position/.ATTRIBUTES/ITERATOR"


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turns all that TensorFlow raises for damaged files into CheckpointCorrupt."""
    import tensorflow as tf

    try:
        yield
    except ExpcoreError:
        raise
    except (tf.errors.OpError, IndexError, ValueError) as error:
        raise CheckpointCorrupt(
            f"checkpoint {path!r} cannot be read ({brief(error)}); use another one"
        ) from error


class SavedCheckpoint:
    """A checkpoint that this estimator wrote.

    Args:
        path: its path without ``.index``.

    Raises:
        CheckpointCorrupt: it is not there, or its index is damaged.
        ModelMismatch: something else wrote it.
    """

    def __init__(self, path: str) -> None:
        import tensorflow as tf

        found = identity(path)
        if found is None:
            raise CheckpointCorrupt(
                f"checkpoint {path!r} is not there; it was deleted or the path is wrong, use another one"
            )
        self.path, self.identity = path, found
        with reading(path):
            self._reader = tf.train.load_checkpoint(path)
            self._shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()
            self._types: dict[str, Any] = self._reader.get_variable_to_dtype_map()
        if STEP_KEY not in self._shapes or ABOUT_KEY not in self._shapes:
            raise ModelMismatch(
                f"checkpoint {path!r} was not written by an estimator of expcore; use another model_dir, or "
                "begin from it by warm_start="
            )

    @cached_property
    def step(self) -> int:
        """The global step."""
        with reading(self.path):
            return int(self._reader.get_tensor(STEP_KEY))

    @cached_property
    def about(self) -> dict[str, Any]:
        """What was written beside the variables: their paths, how to build the model, the hooks' states."""
        with reading(self.path):
            return dict(json.loads(self._reader.get_tensor(ABOUT_KEY)))

    @property
    def passes(self) -> int:
        """How many passes over the input had ended."""
        return int(self.about.get("passes", 0))

    @property
    def taken(self) -> int | None:
        """How many batches of the last pass had been taken; None where the data had ended, or not known."""
        taken = self.about.get("taken")
        return None if taken is None else int(taken)

    @property
    def has_iterator(self) -> bool:
        """Whether the position in the input is in it."""
        return POSITION_KEY in self._shapes

    def position(self) -> Any:
        """Returns the serialized position in the input, as ``Position.restore`` takes it.

        Raises:
            CheckpointCorrupt: it cannot be read.
        """
        import tensorflow as tf

        with reading(self.path), tf.device("cpu:0"):
            return tf.raw_ops.RestoreV2(
                prefix=self.path, tensor_names=[POSITION_KEY], shape_and_slices=[""], dtypes=[tf.variant]
            )[0]

    def values(self, section: str, variables: Sequence[Named]) -> list[Any]:
        """Returns the values for the variables of a section.

        Raises:
            CheckpointCorrupt: they cannot be read.
            ModelMismatch: their number, shapes or types are others.
        """
        self.check(section, variables)
        with reading(self.path):
            return [self._reader.get_tensor(key_of(section, i)) for i in range(len(variables))]

    def named_values(self, section: str) -> dict[str, Callable[[], Any]]:
        """Returns functions that read the values of a section, by the variables' paths."""

        def read(i: int) -> Any:
            with reading(self.path):
                return self._reader.get_tensor(key_of(section, i))

        paths = self.about["variables"].get(section, [])
        return {path: partial(read, i) for i, path in enumerate(paths)}

    def values_by_path(self, section: str) -> list[tuple[str, Any]]:
        """Returns the paths and values of a section; a path may stand there more than once."""
        paths = self.about["variables"].get(section, [])
        with reading(self.path):
            return [(path, self._reader.get_tensor(key_of(section, i))) for i, path in enumerate(paths)]

    def fits(self, section: str, variables: Sequence[Named]) -> bool:
        """Whether ``check`` would find nothing that differs."""
        return self._misfit(section, variables) is None

    def check(self, section: str, variables: Sequence[Named]) -> None:
        """Raises ModelMismatch unless the section fits these variables."""
        misfit = self._misfit(section, variables)
        if misfit is not None:
            raise ModelMismatch(
                f"checkpoint {self.path!r} is of another {section}: {misfit}; "
                "use another model_dir, or the model that wrote it"
            )

    def _misfit(self, section: str, variables: Sequence[Named]) -> str | None:
        saved = sum(key.startswith(section + "/") for key in self._shapes)
        paths = self.about["variables"].get(section, [])
        for i, (path, variable) in enumerate(variables[:saved]):
            key = key_of(section, i)
            shape, dtype = self._shapes[key], self._types[key]
            if not variable.shape.is_compatible_with(shape) or variable.dtype.base_dtype != dtype:
                theirs = f"{paths[i] if i < len(paths) else i} {dtype.name}{list(shape)}"
                return (
                    f"it has {theirs} where there is {path} {variable.dtype.name}{list(variable.shape)} now"
                )
        if saved != len(variables):
            return f"it has {saved} variables where there are {len(variables)} now"
        return _other_names(section, [(there, n.path) for there, n in zip(paths, variables, strict=False)])


def _other_names(section: str, pairs: Sequence[tuple[str, str]]) -> str | None:
    """What names tell where all shapes are the same: another optimizer, or the same parts in another order.

    A layer may have another name: what Keras calls a variable hangs on how its model was built, too.
    """
    kinds = [(_kind(there), _kind(here)) for there, here in pairs]
    if section == OPTIMIZER:
        # Before the last part stands the optimizer, and where it is in the model; after it, its variables.
        differ = [there.rpartition("/")[0] != here.rpartition("/")[0] for there, here in kinds]
    else:
        reordered = sorted(there for there, _ in kinds) == sorted(here for _, here in kinds)
        differ = [reordered and there != here for there, here in kinds]
    for (there, here), other in zip(pairs, differ, strict=True):
        if other:
            return f"it has {there} where there is {here} now"
    return None


def _kind(path: str) -> str:
    """A path without the numbers that Keras gives to names as they come, others in another process."""
    return _NUMBER.sub("", path)


def key_of(section: str, i: int) -> str:
    """Returns the name of the i-th variable of a section."""
    return f"{section}/{i}/{VALUE}"


def step_of_newest(paths: Sequence[str]) -> int:
    """Returns the global step of the newest of some checkpoints that can be read; 0 without any.

    Args:
        paths: oldest first.
    """
    for path in reversed(paths):
        try:
            return SavedCheckpoint(path).step
        except (CheckpointCorrupt, ModelMismatch):
            continue  # told when training really restores it
    return 0
