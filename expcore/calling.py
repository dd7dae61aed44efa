"""Calling what users wrote: which parameters a function takes, and passing it only those."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

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
