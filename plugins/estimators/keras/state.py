"""The live variables of a model in training, as flat lists, and whose checkpoint's values they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from expcore_plugins.estimators.keras.directory import Identity
    from expcore_plugins.estimators.keras.saved import SavedCheckpoint

MODEL, OPTIMIZER, METRICS = "model", "optimizer", "metrics"
SECTIONS = (MODEL, OPTIMIZER, METRICS)


class Named(NamedTuple):
    """A variable, and its path for people; where it belongs is said by its place in the list."""

    path: str
    variable: Any


class LiveState:
    """What training moves: the global step, and the model's, optimizers' and metrics' variables.

    Args:
        model: the Keras model; its variables may come into being later.

    Attributes:
        holds: the checkpoint whose values the variables have; None once they moved on, or before any.
        lent: whether somebody else's values are in the variables for the time of a context.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        self.model = model
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="global_step")
        self.holds: Identity | None = None
        self.lent = False

    def section(self, name: str) -> list[Named]:
        """Returns the variables of a section, in an order that every build of the model gives again."""
        if name == MODEL:
            return _named(self.model.variables)
        if name == OPTIMIZER:
            return _named(v for optimizer in optimizers(self.model) for v in optimizer.variables)
        return _named(v for metric in self.model.metrics for v in metric.variables)

    def put(self, name: str, values: Sequence[Any]) -> None:
        """Gives the variables of a section these values."""
        for (_, variable), value in zip(self.section(name), values, strict=True):
            variable.assign(value)

    @contextmanager
    def kept(self, names: Sequence[str]) -> Iterator[None]:
        """Puts these sections' values back at the end, bit for bit.

        Reading a variable shares its buffer and writing to it then makes a new one, so that nothing is
        copied that is not changed.
        """
        before = [(n.variable, n.variable.read_value()) for name in names for n in self.section(name)]
        holds, lent = self.holds, self.lent
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)
            self.holds, self.lent = holds, lent

    @contextmanager
    def holding(self, saved: SavedCheckpoint, names: Sequence[str]) -> Iterator[None]:
        """Has a checkpoint's values in these sections for the time of the context.

        Where the variables have them already, nothing is read; else everything is read and checked before
        the first variable is touched. The metrics' and the model's variables are as before at the end.

        Raises:
            CheckpointCorrupt: the checkpoint cannot be read.
            ModelMismatch: it belongs to another model.
        """
        held = self.holds == saved.identity
        values: Mapping[str, Any] = (
            {} if held else {name: saved.values(name, self.section(name)) for name in names}
        )
        with self.kept(sorted({*names, MODEL, METRICS})):
            for name, arrays in values.items():
                self.put(name, arrays)
            self.holds, self.lent = saved.identity, True
            yield


def optimizers(model: Any) -> list[Any]:
    """Returns the model's optimizer, then those that are attributes of a model with several, by name."""
    import keras

    found = [model.optimizer] if getattr(model, "optimizer", None) is not None else []
    for _, value in sorted(vars(model).items()):
        if isinstance(value, keras.optimizers.Optimizer) and all(value is not other for other in found):
            found.append(value)
    return found


def _named(variables: Any) -> list[Named]:
    import keras

    found: dict[int, Named] = {}
    for v in variables:
        raw = v.value if isinstance(v, keras.Variable) else v
        found.setdefault(id(raw), Named(str(getattr(v, "path", raw.name)), raw))
    return list(found.values())
