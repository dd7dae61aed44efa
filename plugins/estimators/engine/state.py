"""The live variables of a model in training, as flat lists, and whose checkpoint's values they hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from expcore.errors import listing
from expcore_plugins.estimators.engine.devices import container_of, parts_of
from expcore_plugins.estimators.engine.trainable import (
    EXTRA,
    METRICS,
    MODEL,
    OPTIMIZER,
    Named,
    Trainable,
    named,
)

if TYPE_CHECKING:
    from expcore_plugins.estimators.engine.directory import Identity
    from expcore_plugins.estimators.engine.saved import SavedCheckpoint
    from expcore_plugins.estimators.engine.snapshot import Snapshot


_LOG = logging.getLogger(__name__)


class LiveState:
    """What training moves: the global step, and the model's, optimizers' and metrics' variables.

    Args:
        trainable: the model; its variables may come into being later.

    Attributes:
        holds: the checkpoint whose values the variables have; None once they moved on, or before any.
        lent: whether somebody else's values are in the variables for the time of a context.
        used: variables that training steps use, as far as is known.
        touched: variables that any traced step uses.
        snapshot: the values of the last save, while they are kept in memory.
    """

    def __init__(self, trainable: Trainable) -> None:
        import tensorflow as tf

        self.trainable = trainable
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="global_step")
        self.holds: Identity | None = None
        self.lent = False
        self.used: list[Any] = []
        self.touched: list[Any] = []
        self.snapshot: Snapshot | None = None
        self._told = False

    def section(self, name: str) -> Sequence[Named]:
        """Returns the variables of a section, in an order that every build of the model gives again."""
        return self._besides(self.used) if name == EXTRA else self.trainable.section(name)

    def _besides(self, variables: Sequence[Any]) -> list[Named]:
        """Those of some variables that the model does not list."""
        known = {
            id(part)
            for name in (MODEL, OPTIMIZER, METRICS)
            for n in self.section(name)
            for part in parts_of(container_of(n.variable))
        }
        return [n for n in named(variables) if id(parts_of(container_of(n.variable))[0]) not in known]

    def put(self, name: str, values: Sequence[Any]) -> None:
        """Gives the variables of a section these values."""
        for (_, variable), value in zip(self.section(name), values, strict=True):
            variable.assign(value)

    @contextmanager
    def kept(self, names: Sequence[str]) -> Iterator[None]:
        """Puts these sections' values back at the end, and what else steps use, bit for bit.

        Reading a variable shares its buffer and writing to it then makes a new one, so that nothing is
        copied that is not changed.
        """
        listed = [n for name in names if name != EXTRA for n in self.section(name)]
        changing = [*listed, *self._besides([*self.used, *self.touched])]
        before = [(n.variable, n.variable.read_value()) for n in changing]
        holds, lent = self.holds, self.lent
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)
            self.holds, self.lent = holds, lent

    @contextmanager
    def holding(self, saved: SavedCheckpoint, *, whole: bool = False) -> Iterator[None]:
        """Has a checkpoint's model in the variables for the time of the context, as one would use it.

        Where the optimizer keeps averages of the weights, those are in the weights' place. Where the
        variables have the checkpoint's values already, or they are still in memory from its save, nothing is
        read; else everything is read and checked before the first variable is touched. All variables are as
        before at the end.

        Args:
            saved: the checkpoint.
            whole: the optimizer's variables have its values as well, where it has as many.

        Raises:
            CheckpointCorrupt: the checkpoint cannot be read.
            ModelMismatch: it belongs to another model.
        """
        with self.trainable.apart(), self._holding(saved, whole=whole):
            yield

    @contextmanager
    def _holding(self, saved: SavedCheckpoint, *, whole: bool) -> Iterator[None]:
        if self.lent and self.holds == saved.identity:
            with self.kept((METRICS,)):  # inside of another such context
                yield
            return
        averages = self.trainable.averages
        if averages:
            self.trainable.build(saved.about.get("build"))
        with_optimizer = (whole or averages) and saved.fits(OPTIMIZER, self.section(OPTIMIZER))
        names = (MODEL, OPTIMIZER) if with_optimizer else (MODEL,)
        extra = self.section(EXTRA)
        if extra and saved.fits(EXTRA, extra):
            names = (*names, EXTRA)
        values: Mapping[str, Any] = {} if self.holds == saved.identity else self._values(saved, names)
        others = [] if self.used or self.holds == saved.identity else self._others(saved)
        with self.kept(sorted({*names, MODEL, METRICS})):
            for name, arrays in values.items():
                self.put(name, arrays)
            for variable, value in others:
                variable.assign(value)
            if averages and with_optimizer:
                self.trainable.use_averages()
            self.holds, self.lent = saved.identity, True
            yield

    def _others(self, saved: SavedCheckpoint) -> list[tuple[Any, Any]]:
        """Variables that steps traced here use besides the model's, with values, where none was of training.

        Which is which then hangs on their names alone; what finds no place is told once.
        """
        here: dict[str, list[Any]] = {}
        for path, variable in self._besides(self.touched):
            here.setdefault(path, []).append(variable)
        there = saved.values_by_path(EXTRA)
        times = Counter(path for path, _ in there)
        found, lost = [], []
        for path, value in there:
            places = here.get(path, [])
            if times[path] == len(places) == 1 and places[0].shape.is_compatible_with(value.shape):
                found.append((places[0], value))
            elif value.dtype.kind == "f":
                lost.append(path)
        if lost and not self._told:
            self._told = True
            _LOG.warning(
                "checkpoint %s holds %s besides the model's variables; a process that has not trained cannot "
                "tell their places, so that they have their first values here; make them attributes of the "
                "model",
                saved.path,
                listing(sorted(lost)),
            )
        return found

    def _values(self, saved: SavedCheckpoint, names: Sequence[str]) -> Mapping[str, Any]:
        snapshot = self.snapshot
        if snapshot is not None and snapshot.identity == saved.identity:
            return {name: snapshot.values[name] for name in names}
        return {name: saved.values(name, self.section(name)) for name in names}
