"""Inputs that are opened once for each input function and used again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from expcore_plugins.estimators.engine.inputs import Input, open_input


class KeptInputs:
    """The inputs of evaluations, for as long as their input functions live.

    A Dataset that is kept is a hundred times faster to begin again than a new one. What can be read only
    once, as a generator, is asked for again each time.
    """

    def __init__(self) -> None:
        self._inputs: WeakKeyDictionary[Any, dict[Any, Input]] = WeakKeyDictionary()

    def open(self, input_fn: Callable[[], Any]) -> Input:
        """Returns the input of a function.

        Raises:
            InvalidType, InvalidInput: as ``open_input``.
        """
        # A method is a new object each time it is asked for: its owner is what lives on.
        owner = getattr(input_fn, "__self__", None)
        key, part = (input_fn, None) if owner is None else (owner, getattr(input_fn, "__func__", None))
        try:
            kept = self._inputs.setdefault(key, {})
        except TypeError:  # cannot be hashed or referred to weakly
            return open_input(input_fn)
        if part in kept:
            return kept[part]
        opened = open_input(input_fn)
        if opened.again:
            kept[part] = opened
        return opened
