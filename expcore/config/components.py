"""Components described in a config: checked against their factories' signatures, then made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from expcore.calling import names, no_exit
from expcore.errors import ConfigError, ExpcoreError, UnknownComponent, listing, nearest
from expcore.types import Component

Make = Callable[..., Any]
"""Makes a checked component; keywords replace parameters that were checked with it."""

_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Host(Protocol):
    """What is needed of a PluginHost."""

    def resolve(self, kind: str, name: str) -> Component:
        """Returns the component that a name stands for."""


class Components:
    """Checks descriptions of components against the signatures of their factories.

    A description is a name, or a mapping with ``type`` (the name, also ``dist:name``) and parameters of the
    factory. ``of`` is the factory's first parameter: a component of the same kind, or a list of them where
    that parameter takes any number (``*predicates``). Anything but a string or mapping is taken as it is.

    Args:
        host: finds components.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def check(self, kind: str, value: Any, path: str, **offered: Any) -> Make:
        """Checks a description and everything in it; makes nothing yet.

        Args:
            kind: "estimators", "exporters", "hooks" or "predicates".
            value: the description.
            path: where it stands in the config, for messages.
            offered: passed to the factory if it names them; a config must not give them itself.

        Returns:
            A function that makes the component.

        Raises:
            ConfigError: a description is not of this form, no plugin has the name, or the factory lacks a
                parameter that is given or requires one that is not. The message begins with the path.
            PluginLoadError, ComponentConflict: as the host says, with a note that names the path.
        """
        if isinstance(value, str):
            value = {"type": value}
        if not isinstance(value, Mapping):
            return lambda: value
        component, factory = self._find(kind, value, path)
        subject = f"{kind[:-1]} {component.name!r} ({component.provider})"
        for key in offered:
            if key in value:
                raise ConfigError(f"{path}.{key}: it comes from output_dir and run_config; leave it out here")
        params = {k: v for k, v in value.items() if k not in ("type", "of")}
        params |= {k: v for k, v in offered.items() if names(factory, k)}
        signature = _signature(factory)
        first = signature[0] if signature else None
        if signature is not None:
            _check_parameters(signature, params, "of" in value, path, subject)
        parts = self._parts(kind, value["of"], first, path, subject) if "of" in value else []
        return partial(_make, factory, first, parts, params, path, subject)

    def _find(self, kind: str, value: Mapping[str, Any], path: str) -> tuple[Component, Callable[..., Any]]:
        name = value.get("type")
        if not isinstance(name, str) or not name:
            close = next((f"; {key!r} may be meant" for key in value if nearest(str(key), ["type"])), "")
            raise ConfigError(
                f"{path}.type: {name!r} is not a plugin's name{close}; "
                f"write the name of one of the {kind}, such as {{type: NAME}}"
            )
        try:
            component = self._host.resolve(kind, name)
            return component, component.load()
        except UnknownComponent as error:
            raise ConfigError(f"{path}: {error}") from error
        except ExpcoreError as error:
            error.add_note(f"asked for by {path} of the config")
            raise

    def _parts(
        self, kind: str, of: Any, first: inspect.Parameter | None, path: str, subject: str
    ) -> list[Make]:
        if first is not None:
            many = first.kind is inspect.Parameter.VAR_POSITIONAL
            if isinstance(of, list) != many:
                wanted = "a list of components" if many else "one component"
                raise ConfigError(f"{path}.of: it must be {wanted} for {subject}; write it so")
        if isinstance(of, list):
            return [self.check(kind, part, f"{path}.of[{n}]") for n, part in enumerate(of)]
        return [self.check(kind, of, f"{path}.of")]


def _signature(factory: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Returns the parameters, None where a factory does not tell them."""
    try:
        return list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):
        return None


def _check_parameters(
    signature: Sequence[inspect.Parameter], params: Mapping[str, Any], with_of: bool, path: str, subject: str
) -> None:
    of = signature[0] if with_of and signature else None
    if with_of and (of is None or of.kind is of.VAR_KEYWORD):
        raise ConfigError(f"{path}.of: {subject} takes no other component; leave it out")
    if of is not None and of.name in params:
        raise ConfigError(f"{path}.{of.name}: it is the same parameter as 'of'; give only one of them")
    known = [p.name for p in signature if p.kind in _KEYWORD and p is not of]
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature):
        for key in params:
            if key not in known:
                raise ConfigError(f"{path}.{key}: {_unknown(key, known, subject)}")
    for p in signature:
        required = p.default is inspect.Parameter.empty and p.kind in (*_KEYWORD, p.POSITIONAL_ONLY)
        if required and p.name not in params and p is not of:
            also = ", or 'of' where it is a component" if p is signature[0] else ""
            raise ConfigError(f"{path}: {subject} needs {p.name!r}; add it{also}")


def _make(
    factory: Callable[..., Any],
    first: inspect.Parameter | None,
    parts: Sequence[Make],
    params: Mapping[str, Any],
    path: str,
    subject: str,
    /,
    **replaced: Any,
) -> Any:
    made = [part() for part in parts]
    keywords = {**params, **replaced}
    if made and first is not None and first.kind is first.KEYWORD_ONLY:
        keywords[first.name] = made.pop()
    try:
        with no_exit(subject):
            return factory(*made, **keywords)
    except (TypeError, ValueError, LookupError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except Exception as error:
        error.add_note(f"raised while making {subject} of {path}")
        raise


def _unknown(key: str, known: list[str], subject: str) -> str:
    told = f"{subject} has no such parameter{nearest(key, known)}; it has {listing(known)}"
    if key == "name" and subject.startswith("exporter"):  # a bare format has no directory of its own to name
        return f"{told}; to name what a format writes, wrap it: {{type: latest, name: ..., of: ...}}"
    return told
