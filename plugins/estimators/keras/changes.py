"""Attributes of other libraries' objects, replaced for a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Any


def changed(stack: ExitStack, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Replaces an attribute by what ``change`` makes of it, until the stack is left."""
    plain = isinstance(owner, (type, ModuleType))
    # Keras's objects keep track of what is set on them: they are not to see this.
    write, remove = (setattr, delattr) if plain else (object.__setattr__, object.__delattr__)
    own, before = name in vars(owner), getattr(owner, name)
    write(owner, name, change(before))
    stack.callback(partial(write, owner, name, before) if own else partial(remove, owner, name))
