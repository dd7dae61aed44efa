"""Factories: checking parameters against what a class or function takes, before it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from expcore.errors import InvalidArgument, UnknownOption, listing, nearest

_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def check_params(
    factory: Callable[..., Any], params: Mapping[str, Any], subject: str, given: Iterable[str] = ()
) -> None:
    """Checks keyword parameters against a factory's signature; one without a signature takes anything.

    Args:
        factory: what will be called with them.
        params: the parameters.
        subject: names the factory in messages.
        given: parameters that the caller gives besides, such as a schedule's ``experiment``.

    Raises:
        UnknownOption: the factory has no such parameter.
        InvalidArgument: a parameter without default is not given.
    """
    try:
        signature = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return
    given = set(given)
    known = [name for name, p in signature.items() if p.kind in _KEYWORD and name not in given]
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.values()):
        for name in params:
            if name not in known:
                raise UnknownOption(
                    f"{subject}: it has no parameter {name!r}{nearest(name, known)}; it has {listing(known)}"
                )
    for name in known:
        if signature[name].default is inspect.Parameter.empty and name not in params:
            raise InvalidArgument(f"{subject}: parameter {name!r} is missing; it has {listing(known)}")
