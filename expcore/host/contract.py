"""The check that a plugin keeps the contract of hookspecs.py; pluggy alone would stay silent."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from expcore import hookspecs
from expcore.errors import InvalidArgument, PluginError, listing, nearest

SPECS: Mapping[str, Callable[..., Any]] = {
    name: spec for name, spec in vars(hookspecs).items() if name.startswith(f"{hookspecs.PROJECT}_")
}
"""Every hook by name."""


class MisspeltHook(PluginError):
    """A hook that does not exist, with a name so close to one that does that somebody relies on it."""


def is_firstresult(hook: str) -> bool:
    """Whether a hook ends with the first answer."""
    return bool(getattr(SPECS[hook], f"{hookspecs.PROJECT}_spec")["firstresult"])


def check_hook_name(hook: str) -> None:
    """Raises InvalidArgument for a name that is not a hook's."""
    if hook not in SPECS:
        raise InvalidArgument(f"hook {hook!r}: there is no such hook{nearest(hook, SPECS)}")


def check_plugin(manager: pluggy.PluginManager, plugin: object, subject: str) -> None:
    """Checks an object before it is registered.

    Args:
        manager: knows which functions are marked.
        plugin: a module or an instance.
        subject: names it in messages.

    Raises:
        MisspeltHook: it has a hook that does not exist, and there is one of nearly that name.
        PluginError: it has no hook, a hook that does not exist, one that is not marked, one that is a
            wrapper or has another name, or one whose arguments are not the hook's or have defaults.
    """
    if type(plugin).__hash__ is None:
        raise PluginError(
            f"{subject}: it is not hashable, and pluggy needs that; use a plain class or a module"
        )
    marked = {}
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            marked[name] = options
    known = (*SPECS, *(n for n, o in marked.items() if o.get("optionalhook") or o.get("specname")))
    unknown = [name for name in marked if name not in known]
    for name in sorted(unknown, key=lambda n: not nearest(n, SPECS)):
        meant = nearest(name, SPECS)
        raise (MisspeltHook if meant else PluginError)(f"{subject}: there is no hook {name!r}{meant}")
    for name, spec in SPECS.items():
        function = getattr(plugin, name, spec)
        if name not in marked and function is not spec and inspect.isroutine(function):
            raise PluginError(f"{subject}: {name}() is never called without @expcore.hookimpl; add it")
    if not marked:
        raise PluginError(
            f"{subject}: it has no hook, so that it would never be called; mark functions with "
            f"@expcore.hookimpl, named as one of {listing(list(SPECS))}"
        )
    for name, options in marked.items():
        if options.get("wrapper") or options.get("hookwrapper") or options.get("specname"):
            raise PluginError(
                f"{subject}: {name}() is a wrapper or has a specname; each plugin is called alone, so give a "
                "plain function of the hook's own name"
            )
        if name in SPECS:
            check_arguments(getattr(plugin, name), name, subject)


def deprecations(manager: pluggy.PluginManager, plugin: object) -> list[str]:
    """Returns what the specs say of hooks and arguments of a plugin that a later release removes.

    They say it as pluggy has it, by ``warn_on_impl`` and ``warn_on_impl_args``; the text names the release.
    """
    told = []
    for name, spec in SPECS.items():
        implementation = getattr(plugin, name, None)
        if implementation is None or manager.parse_hookimpl_opts(plugin, name) is None:
            continue
        options = getattr(spec, f"{hookspecs.PROJECT}_spec")
        taken = inspect.signature(implementation).parameters
        found = [options["warn_on_impl"]]
        found += [
            text for argument, text in (options["warn_on_impl_args"] or {}).items() if argument in taken
        ]
        told += [f"{name}(): {text}" for text in found if text is not None]
    return told


def check_arguments(function: Callable[..., Any], hook: str, subject: str) -> None:
    """Raises PluginError where an argument of a bound function is not the hook's or has a default."""
    offered = list(inspect.signature(SPECS[hook]).parameters)
    for parameter in inspect.signature(function).parameters.values():
        has_default = parameter.default is not inspect.Parameter.empty
        if has_default and parameter.name in offered:
            raise PluginError(
                f"{subject}: argument {parameter.name!r} of {hook}() has a default, and pluggy gives such an "
                "argument nothing but its default; take the default away"
            )
        if not has_default and parameter.name not in offered:
            raise PluginError(
                f"{subject}: argument {parameter.name!r} of {hook}() is not the hook's"
                f"{nearest(parameter.name, offered)}; it has {listing(offered)}"
            )
