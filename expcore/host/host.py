"""PluginHost: discovers plugins, registers them with pluggy, resolves names, and calls hooks guarded."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import pluggy

from expcore.calling import no_exit
from expcore.errors import InvalidArgument, InvalidType, UnknownComponent, one_line
from expcore.factories import check_params
from expcore.host.catalogues import Catalogues
from expcore.host.contract import check_hook_name, is_firstresult
from expcore.host.discovery import BUILTIN, KINDS, OBSERVERS, EntryPoint, kind_of
from expcore.host.overview import Overview
from expcore.host.overview import PluginStatus as PluginStatus
from expcore.host.registry import PluginFailure, Registry, blaming, check_answers
from expcore.host.resolution import QUALIFIED, UNKNOWN, Resolution, decide, unknown
from expcore.host.selection import Selection, Source
from expcore.host.settings import Project, check_installed, here
from expcore.host.trace import Trace
from expcore.types import Component

_LOG = logging.getLogger(__name__)


class PluginHost:
    """Everything installed and registered, under the user's choices. Nothing is read before first need.

    What counts is, the strongest first, the arguments, the environment, and ``[tool.expcore]`` of the nearest
    pyproject.toml from the working directory upwards. Choices count name by name; what any of them switches
    off is off; of ``allow`` and ``strict`` the strongest that says something counts.

    Args:
        use: chosen distribution by ``kind/name``, as a mapping or as strings ``kind/name=dist``.
        disable: what is switched off: ``dist``, ``kind/name`` or ``dist:kind/name``.
        allow: the only third parties that are on, in the same form; empty: built-ins only; None: not said.
        strict: whether a broken plugin raises PluginLoadError at once; None: not said, which is no.
        environ: where EXPCORE_USE, EXPCORE_DISABLE, EXPCORE_ALLOW (comma separated), EXPCORE_STRICT_PLUGINS
            and EXPCORE_TRACE_PLUGINS, a file that gets a line for each call and import, are read; None:
            ``os.environ``.
        settings: what to use instead of the file's ``[tool.expcore]``; None: the file counts where
            ``environ`` is None, and nothing where it is given.
        entry_points: plugins to use instead of the installed ones.

    Raises:
        InvalidArgument: a choice is not of the form ``kind/name=dist``, or EXPCORE_STRICT_PLUGINS is no word
            for yes or no.
        InvalidType: ``use``, ``disable`` or ``allow`` is no list (``use``: or mapping) of strings, or
            ``strict`` is no bool.
        CannotWrite: the file for the trace cannot be written.
    """

    def __init__(
        self,
        *,
        use: Mapping[str, str] | Iterable[str] | None = None,
        disable: Iterable[str] | None = None,
        allow: Iterable[str] | None = None,
        strict: bool | None = None,
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        entry_points: Iterable[EntryPoint] | None = None,
    ) -> None:
        env = os.environ if environ is None else environ
        stated = (Source.read("PluginHost({}=...)", use, disable, allow, strict), Source.of(env))
        self._project = Project(settings, here() if environ is None and settings is None else None)
        self._selection = Selection(stated, lambda: self._project.settings.source)
        self._registry = Registry(self._selection, entry_points, Trace.of(env))
        self._catalogues = Catalogues(self._registry, self._selection)
        self._overview = Overview(self._registry, self._catalogues)
        self._announced: set[str] = set()

    # --- what there is ---------------------------------------------------------------------------------

    @property
    def manager(self) -> pluggy.PluginManager:
        """The pluggy manager, for tracing; every declared plugin is known to it."""
        return self._registry.manager

    @property
    def failures(self) -> list[PluginFailure]:
        """Plugins that could not be used so far; nothing is imported to find more."""
        return self._registry.failures

    @property
    def settings(self) -> dict[str, Any] | None:
        """The project's settings, ``path`` (None: given in code) and ``content``; None where there are none.

        Raises:
            ConfigError: the file is no TOML, or a key or value is wrong.
        """
        return self._project.record()

    def catalogue(self, kind: str) -> list[Component]:
        """Returns all components of a kind that are not blocked, by name, then distribution.

        Those that a plugin works out at run time are among them only after ``start``.

        Raises:
            InvalidArgument: there is no such kind.
        """
        return self._catalogues.components(kind_of(kind))

    def statuses(self, kind: str | None = None) -> list[PluginStatus]:
        """Returns every plugin with its status; imports nothing.

        Status is "active", "shadowed" (another one has the name), "blocked", "broken" or "conflict".

        Args:
            kind: only this kind, "plugins" included; None: all.

        Raises:
            InvalidArgument: there is no such kind.
        """
        kinds = (*KINDS, OBSERVERS) if kind is None else (kind_of(kind, observers=True),)
        found = [r for each in kinds if each != OBSERVERS for r in self._resolutions(each)]
        rows = self._overview.components(found)
        return rows + (self._overview.observers() if OBSERVERS in kinds else [])

    def snapshot(self) -> dict[str, Any]:
        """Returns what every name stands for, as JSON data for the record of a run.

        ``components`` by ``kind/name``: distribution, version, target, and the built-in that is replaced (or
        the providers in conflict); ``plugins``: the observers; ``blocked``; ``failures``; ``settings``: path
        and content of the project's settings, None without.
        """
        found = [r for kind in KINDS for r in self._resolutions(kind)]
        return self._overview.snapshot(found, self._project.record())

    # --- components ------------------------------------------------------------------------------------

    def explain(self, kind: str, name: str) -> Resolution:
        """Returns what a name stands for, by which rule, and how to change it; imports nothing.

        Args:
            kind: the kind.
            name: ``name``, or ``dist:name``.

        Raises:
            InvalidArgument: there is no such kind.
            UnknownComponent: nothing declared has that name.
        """
        kind = kind_of(kind)
        if not isinstance(name, str):
            raise InvalidType(f"{kind[:-1]} {name!r}: a component is named by a string")
        dist, _, plain = name.rpartition(":")
        return self._decide(kind, plain, dist)

    def _decide(self, kind: str, name: str, dist: str = "") -> Resolution:
        found = self._catalogues.candidates(kind, name)
        if not found:
            raise unknown(kind, name, self._catalogues.names(kind, blocked=False))
        choice = self._selection.use.get(f"{kind}/{name}")
        return decide(kind, name, dist, found, choice)

    def resolve(self, kind: str, name: str) -> Component:
        """Returns the component that a name stands for; imports it not.

        A name that nothing declares makes the host ``start``, since a plugin may work it out at run time.

        Args:
            kind: the kind.
            name: ``name``, or ``dist:name`` to have that distribution's.

        Raises:
            InvalidArgument: there is no such kind.
            UnknownComponent: nothing has that name, or all that has it is switched off.
            ComponentConflict: several third parties have it.
        """
        found: Resolution | None = None
        with suppress(UnknownComponent):
            found = self.explain(kind, name)
        if (found is None or found.rule == UNKNOWN) and not self._registry.started:
            self.start()
            found = None
        found = found or self.explain(kind, name)
        if found.winner is None:
            raise found.error or unknown(found.kind, name, ())
        self._announce(found)
        return found.winner

    def load(self, kind: str, name: str) -> Any:
        """Returns the class or factory, imported.

        Raises:
            PluginLoadError: it is installed and cannot be imported; ``__cause__`` says why.
            ExpcoreError: as ``resolve``.
        """
        return self.resolve(kind, name).load()

    def create(self, kind: str, name: str, /, **params: Any) -> Any:
        """Returns what the factory makes of the parameters.

        Raises:
            UnknownOption: the factory has no such parameter.
            InvalidArgument: a parameter is missing.
            PluginError: the factory called ``sys.exit()``.
            ExpcoreError: as ``load``.
            Exception: whatever the factory raises, with a note that names plugin and version.
        """
        component = self.resolve(kind, name)
        subject = f"{component.kind[:-1]} {component.name!r} ({component.provider})"
        factory = component.load()
        check_params(factory, params, subject)
        try:
            with no_exit(subject):
                return factory(**params)
        except Exception as error:
            error.add_note(f"raised while making {subject}")
            raise

    def _resolutions(self, kind: str) -> list[Resolution]:
        return [self._decide(kind, name) for name in self._catalogues.names(kind)]

    def _announce(self, found: Resolution) -> None:
        label = f"{found.kind}/{found.name}"
        if found.replaced is None or found.rule == QUALIFIED or label in self._announced:
            return
        assert found.winner is not None  # noqa: S101  (without a winner nothing is replaced)
        self._announced.add(label)
        _LOG.info(
            "%s: %s replaces the built-in of %s; --use %s=%s or the name %s:%s has the built-in",
            *(label, found.winner.provider, found.replaced.provider, label, BUILTIN, BUILTIN, found.name),
        )

    # --- observers and hooks ---------------------------------------------------------------------------

    def start(self) -> None:
        """Imports and registers the installed observers (``expcore.plugins``) that are not blocked; once.

        One that cannot be used is one line in the log, kept in ``failures``, and skipped. Where strict, the
        components of third parties are imported too.

        Raises:
            ConfigError: a distribution that the project's settings require is missing or of another version.
            PluginError: one of them has a misspelt hook.
            PluginLoadError: strict, and one of them, or a third party's component, cannot be used.
        """
        if not self._registry.started:
            dists = [entry.dist for entry in self._registry.entries.values()]
            check_installed(self._project.settings, dists)
        self._registry.start()

    def register(self, plugin: object, name: str | None = None) -> str:
        """Registers an observer, and returns the name that pluggy knows it by.

        Args:
            plugin: a module, an object, or a class that can be made without arguments.
            name: what to call it in messages; None: after its class.

        Raises:
            PluginError: it breaks the contract, such as by a misspelt hook, or is registered already.
        """
        return self._registry.register(plugin, name)

    def admit(self, entry_point: EntryPoint) -> None:
        """Adds an entry point as if it had been found installed; ``PluginSandbox`` is made of this."""
        self._registry.admit(entry_point)

    def ask(self, hook_name: str, /, **kwargs: Any) -> list[tuple[str, Any]]:
        """Calls each plugin that has a hook, in pluggy's order; starts the host if need be.

        Returns:
            The plugins' names and answers, without those that answered None.

        Raises:
            InvalidArgument: there is no such hook, or it is one for ``first``.
            Exception: what the first failing plugin raised, with a note that names it.
        """
        self._check(hook_name, first=False)
        answers = []
        for key, entry, call in self._registry.callers(hook_name):
            with blaming(entry, hook_name):
                given = call(**kwargs)
                check_answers(entry, hook_name, given)
            answers += [(key, answer) for answer in given]
        return answers

    def first(self, hook_name: str, /, **kwargs: Any) -> Any:
        """Calls plugins in pluggy's order until one does not answer None, and returns its answer, or None.

        Raises:
            InvalidArgument: there is no such hook, or it is one for ``ask``.
            Exception: what a plugin raised before there was an answer, with a note that names it.
        """
        self._check(hook_name, first=True)
        for _, entry, call in self._registry.callers(hook_name):
            with blaming(entry, hook_name):
                answer = call(**kwargs)
                check_answers(entry, hook_name, [answer])
            if answer is not None:
                return answer
        return None

    def notify(self, hook_name: str, /, **kwargs: Any) -> list[Exception]:
        """Calls every plugin that has a hook, also after one has failed; starts the host if need be.

        Returns:
            What they raised, each logged and with a note that names the plugin.

        Raises:
            InvalidArgument: there is no such hook, or it is one for ``first``.
        """
        self._check(hook_name, first=False)
        errors = []
        for _, entry, call in self._registry.callers(hook_name):
            try:
                with blaming(entry, hook_name):
                    check_answers(entry, hook_name, call(**kwargs))
            except Exception as error:
                _LOG.error(
                    "plugin %r (%s) failed in %s(): %s",
                    entry.name,
                    entry.provider,
                    hook_name,
                    one_line(error),
                )
                errors.append(error)
        return errors

    def _check(self, hook_name: str, *, first: bool) -> None:
        check_hook_name(hook_name)
        if is_firstresult(hook_name) is not first:
            raise InvalidArgument(
                f"hook {hook_name!r}: "
                + ("every plugin answers it" if first else "the first answer ends it")
                + f"; use {'ask or notify' if first else 'first'}()"
            )
        self.start()


_default: PluginHost | None = None
_default_lock = threading.Lock()


def default_host() -> PluginHost:
    """Returns the process's host, made on first use with the choices of the environment."""
    global _default
    with _default_lock:
        if _default is None:
            _default = PluginHost()
        return _default


def set_default_host(host: PluginHost | None) -> PluginHost | None:
    """Makes a host the process's (None: the next use makes a new one) and returns the one before."""
    global _default
    with _default_lock:
        before, _default = _default, host
        return before
