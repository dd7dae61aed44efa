"""Devices: several of one process, which make every training step together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from expcore.clock import RealClock
from expcore_plugins.estimators.engine.replicas import Alone
from expcore_plugins.estimators.engine.workers import Workers


class Devices(Alone, Workers):
    """The devices of a process, each with a copy of every variable; nobody else has to be asked.

    Args:
        strategy: a ``tf.distribute.MirroredStrategy``, or another whose devices are all in this process.
    """

    def __init__(self, strategy: Any) -> None:
        Workers.__init__(self, strategy, chief=True, clock=RealClock())

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which each variable is made on every device."""
        return self._strategy.scope()  # type: ignore[no-any-return]

    def summed(self, values: Sequence[Any]) -> list[Any]:
        """Returns the values of variables; reading sums up what each device has for itself."""
        import tensorflow as tf

        return [tf.convert_to_tensor(value) for value in values]

    def average(self, variables: Sequence[Any]) -> None:
        """Gives variables their mean over all devices; what is equal stays as it is, to the bit."""
        import tensorflow as tf

        for variable in variables:
            parts = parts_of(variable)
            base, *others = [tf.convert_to_tensor(part) for part in parts]
            mean = base + sum((other - base for other in others), tf.zeros_like(base)) / self.count
            for part in parts:
                part.assign(mean)

    def least(self, n: Any) -> Any:
        """Returns the number itself."""
        return n

    def everyone(self, flag: Any) -> Any:
        """Returns the flag itself."""
        return flag

    def same(self, number: Any) -> Any:
        """True: there is one input."""
        import tensorflow as tf

        return tf.constant(True)


def container_of(variable: Any) -> Any:
    """Returns the variable of all devices that this is one device's part of; else the variable itself."""
    container = getattr(variable, "_distributed_container", None)
    found = container() if callable(container) else None
    return variable if found is None else found


def parts_of(variable: Any) -> tuple[Any, ...]:
    """Returns the variables, one a device, that a variable is made of; the first is the one to read."""
    return tuple(getattr(variable, "values", ())) or (variable,)


def name_of(handle: Any) -> str:
    """Returns the name of the variable that a handle is of, as its text has it: with a number after it."""
    found = re.search(r'name="(.+?)(/replica_\d+)?/\d+"', str(handle))
    return found[1] if found else str(handle)
