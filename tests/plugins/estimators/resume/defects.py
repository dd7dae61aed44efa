"""Defects that the harness must see: each leaves something out of the checkpoints of this process."""

from __future__ import annotations

from expcore_plugins.estimators.engine.position import Position
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.trainable import METRICS, MODEL, OPTIMIZER


def without(section, part):
    """Leaves out the variables of a section that have this in their path, whoever else would save them."""
    real = LiveState.section

    def fewer(self, name):
        lost = {id(v.variable) for v in self.trainable.section(section) if part in v.path}
        return [v for v in real(self, name) if id(v.variable) not in lost]

    LiveState.section = fewer


def position():
    Position.serialized = lambda self: None


DEFECTS = {
    "none": lambda: None,
    "seeds": lambda: without(MODEL, "seed_generator"),
    "statistics": lambda: without(MODEL, "moving_"),
    "iterations": lambda: without(OPTIMIZER, "iteration"),
    "metrics": lambda: without(METRICS, ""),
    "position": position,
}
