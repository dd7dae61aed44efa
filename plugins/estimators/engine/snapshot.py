"""A snapshot: all that a checkpoint will hold, as values that later steps do not change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expcore_plugins.estimators.engine.trainable import METRICS, SECTIONS

if TYPE_CHECKING:
    from expcore_plugins.estimators.engine.directory import Identity
    from expcore_plugins.estimators.engine.state import LiveState


@dataclass
class Snapshot:
    """The state at a step.

    Reading a variable shares its buffer and a later step writes to a new one, so that a snapshot costs no
    copying by itself; while it is kept, the values are in memory a second time once a step has been made.

    Attributes:
        step: the global step.
        values: the variables' values by section, in the order of the section.
        position: the serialized position in the input; None where it is not saved.
        about: what else is written, as JSON text.
        identity: of the checkpoint once it is written.
    """

    step: int
    values: Mapping[str, list[Any]]
    position: Any
    about: str
    identity: Identity | None = None


def values_of(state: LiveState, metrics: list[Any]) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
    """Returns values and paths of the live variables by section.

    Args:
        state: the live variables.
        metrics: the values of the metrics' variables, over all processes.
    """
    values, paths = {}, {}
    for section in SECTIONS:
        variables = state.section(section)
        values[section] = metrics if section == METRICS else [n.variable.read_value() for n in variables]
        paths[section] = [n.path for n in variables]
    return values, paths
