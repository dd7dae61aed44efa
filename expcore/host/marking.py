"""Marking a function as a hook's implementation, with the checks that pluggy makes late or not at all."""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any, TypeVar

from expcore.errors import InvalidArgument, InvalidType, PluginError
from expcore.hookspecs import PROJECT, hookimpl
from expcore.host.contract import check_arguments

_Function = TypeVar("_Function")


def marked(function: _Function, hook: str) -> _Function:
    """Marks a function or a method of a class in the making, and returns it; a mark that it has stays.

    Args:
        function: its name is the hook's; a first argument ``self`` is that of a method.
        hook: the hook's name.

    Raises:
        InvalidType: it is not a function, such as a class or a static method.
        InvalidArgument: its name is not the hook's, or an argument is not the hook's or has a default.
    """
    if not inspect.isfunction(function):
        raise InvalidType(f"@impl.{hook}: {function!r} is not a function; put it on a plain def of that name")
    subject = f"@impl.{hook}"
    if function.__name__ != hook:
        raise InvalidArgument(
            f"{subject}: the function is called {function.__name__!r}, and hooks are told apart by name; "
            f"call it {hook!r}"
        )
    is_method = next(iter(inspect.signature(function).parameters), None) == "self"
    called: Any = MethodType(function, object()) if is_method else function
    try:
        check_arguments(called, hook, subject)
    except PluginError as error:
        raise InvalidArgument(str(error)) from None
    return function if hasattr(function, f"{PROJECT}_impl") else hookimpl(function)
