"""Calling what users wrote: which parameters a function takes, and passing it only those."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from expcore.errors import InvalidArgument

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of a callable by name; none for a builtin without a signature."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes a keyword of this name, by name or through ``**kwargs``."""
    found = parameters(function)
    if name in found and found[name].kind in _NAMED:
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())


def names(function: Callable[..., Any], name: str) -> bool:
    """Whether a function itself names this parameter; ``**kwargs`` does not count."""
    found = parameters(function)
    return name in found and found[name].kind in _NAMED


def call_naming(function: Callable[..., Any], *args: Any, **offered: Any) -> Any:
    """Calls with ``args`` and those of the offered keywords that the function names."""
    return function(*args, **{k: v for k, v in offered.items() if names(function, k)})


def describe_type(kind: type) -> str:
    """Returns ``module.Class`` without private parts of the module path, for messages."""
    module = ".".join(p for p in kind.__module__.split(".") if not p.startswith("_"))
    return kind.__qualname__ if module in ("builtins", "") else f"{module}.{kind.__qualname__}"


def describe(value: object) -> str:
    """Returns how to name an object in a message: a function's name or its class."""
    name = getattr(value, "__qualname__", None)
    return str(name) if name else describe_type(type(value))


def check_predicate(option: str, predicate: Any) -> None:
    """Raises InvalidArgument where a predicate is neither callable nor None."""
    if predicate is not None and not callable(predicate):
        raise InvalidArgument(f"`{option}` is {predicate!r}; it must be a callable, or None")


def ask_predicate(
    predicate: Callable[..., Any] | None, eval_result: Any, checkpoint_path: str | None, history: Any
) -> bool:
    """Asks a predicate whether to go on; None always does. What it raises gets a note with its name."""
    if predicate is None:
        return True
    try:
        return bool(call_naming(predicate, eval_result, checkpoint_path=checkpoint_path, history=history))
    except Exception as error:
        error.add_note(f"raised by predicate {describe(predicate)}")
        raise
