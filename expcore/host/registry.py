"""The registry: what is registered with pluggy, what is switched off, and what turned out broken."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pluggy

from expcore import hookspecs
from expcore.calling import check_ran, describe, no_exit
from expcore.errors import InvalidType, PluginError, PluginLoadError, StoppedBySignal, one_line
from expcore.hookspecs import hookimpl
from expcore.host.contract import MisspeltHook, check_plugin, deprecations
from expcore.host.discovery import OBSERVERS, Distribution, Entry, EntryPoint, discover
from expcore.host.metadata import DamagedMetadata
from expcore.host.selection import DISABLE, Selection
from expcore.host.trace import Trace
from expcore.types import Component

_LOG = logging.getLogger(__name__)

# Only the user ends a run; a module that calls sys.exit(), or raises worse, is a broken plugin.
_ENDS = (KeyboardInterrupt, StoppedBySignal)


@dataclass(frozen=True)
class PluginFailure:
    """A plugin that could not be used.

    Attributes:
        dist: its distribution.
        version: the distribution's version.
        entry: ``kind/name``.
        phase: "declaration", "import", "register" or "catalogue".
        error: the cause.
    """

    dist: str
    version: str
    entry: str
    phase: str
    error: BaseException


class LazyPlugin:
    """Stands for a declared component with pluggy: answers its kind's catalogue, imports on first use."""

    def __init__(self, entry: Entry) -> None:
        self._hook = catalogue_hook(entry.kind)
        component = Component(entry.kind, entry.name, entry.load, target=entry.target)
        setattr(self, self._hook, hookimpl(lambda: [component]))

    def __dir__(self) -> list[str]:
        return [self._hook]  # pluggy looks at each attribute that dir() gives, which takes its time


class Registry:
    """Plugins as pluggy knows them. Nothing is read before first need.

    Args:
        selection: what the user switched off.
        points: plugins to use instead of the installed ones.
        trace: where calls and imports leave a line; None: nowhere.
    """

    def __init__(
        self, selection: Selection, points: Iterable[EntryPoint] | None, trace: Trace | None = None
    ) -> None:
        self._selection, self._points, self._trace = selection, points, trace
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._lock = threading.RLock()
        self._discovered = self._started = False
        self._entries: dict[str, Entry] = {}  # by the name that pluggy knows the plugin by
        self._failures: dict[tuple[str, str], PluginFailure] = {}
        self.changes = 0

    @property
    def manager(self) -> pluggy.PluginManager:
        """The pluggy manager; every declared plugin is known to it."""
        self.discover()
        return self._manager

    @property
    def started(self) -> bool:
        """Whether the observers were imported, or are being imported."""
        return self._started

    @property
    def entries(self) -> dict[str, Entry]:
        """Every plugin, also what is blocked, by the name that pluggy knows it by."""
        self.discover()
        return dict(self._entries)

    @property
    def failures(self) -> list[PluginFailure]:
        """What could not be used so far."""
        self.discover()
        return list(self._failures.values())

    def failed(self, dist: str, label: str) -> bool:
        """Whether that plugin could not be used."""
        return (dist, label) in self._failures

    def blocked(self, key: str) -> bool:
        """Whether pluggy was told not to register that plugin."""
        return self.manager.is_blocked(key)

    def twice(self, entry: Entry) -> bool:
        """Whether one distribution declares the name more than once."""
        same = [e for e in self._entries.values() if (e.dist.name, e.label) == (entry.dist.name, entry.label)]
        return len(same) > 1

    def discover(self) -> None:
        """Registers what is declared; once.

        Raises:
            ConfigError: the project's settings cannot be used.
            PluginLoadError: strict, and a declaration cannot be used.
        """
        with self._lock:
            if self._discovered:
                return
            self._selection.sources  # noqa: B018  (settings that cannot be used are an error at each use)
            self._discovered = True
            entries = discover(self._points, lambda sentence: _LOG.warning("%s", sentence))
            for entry in entries:
                self._admit(entry)
            for sentence in self._selection.unknown(entries):
                _LOG.warning("%s", sentence)
            for key, entry in self._entries.items():
                if entry.fault is not None and not self._manager.is_blocked(key):
                    self.fail(entry, "declaration", entry.fault)

    def admit(self, point: EntryPoint) -> None:
        """Adds an entry point as if it had been discovered."""
        self.discover()
        with self._lock:
            for entry in discover([point]):
                self._admit(entry)
            self._started = False

    def _admit(self, entry: Entry) -> None:
        key = self._free(entry.key)
        self._entries[key] = entry
        if self._selection.blocked(entry) is not None:
            self._manager.set_blocked(key)
        if entry.kind != OBSERVERS:
            self._manager.register(LazyPlugin(entry), key)
        self.changes += 1

    def _free(self, key: str) -> str:
        n, free = 1, key
        while free in self._entries:
            n += 1
            free = f"{key}#{n}"
        return free

    def register(self, plugin: object, name: str | None = None) -> str:
        """Registers an observer given in code, and returns the name that pluggy knows it by.

        Raises:
            PluginError: it breaks the contract, or is registered already.
        """
        self.discover()
        with self._lock:
            entry = Entry(OBSERVERS, name or describe(plugin), Distribution())
            key = self._free(entry.key)
            self._register(_instance(plugin), key, entry)
        return key

    def _register(self, plugin: object, key: str, entry: Entry) -> None:
        subject = f"plugin {entry.name!r} ({entry.provider})"
        check_plugin(self._manager, plugin, subject)
        try:
            self._manager.register(plugin, key)
        except ValueError as error:
            raise PluginError(f"{subject}: the same object is registered already; once is enough") from error
        except pluggy.PluginValidationError as error:
            self._manager.unregister(name=key)  # pluggy keeps what it had taken until then
            raise PluginError(f"{subject}: pluggy refuses it: {one_line(error)}") from error
        for sentence in deprecations(self._manager, plugin):
            _LOG.warning("%s: %s", subject, sentence)
        self._entries[key] = entry
        self.changes += 1

    def start(self) -> None:
        """Imports and registers the declared observers, those that are not blocked; once.

        Raises:
            PluginError: one of them has a misspelt hook.
            PluginLoadError: strict, and one of them, or a third party's component, cannot be used.
        """
        self.discover()
        with self._lock:
            if self._started:
                return
            self._started = True  # set before: a plugin may ask for components while it is imported
            try:
                for key, entry in list(self._entries.items()):
                    if entry.kind == OBSERVERS and not (
                        self._manager.is_blocked(key) or self._manager.has_plugin(key)
                    ):
                        self._start_one(key, entry)
                self._check_pending()
                if self._selection.strict:
                    self._load_third_parties()
            except BaseException:
                self._started = False
                raise

    def _start_one(self, key: str, entry: Entry) -> None:
        if self.twice(entry):
            self.fail(entry, "declaration", PluginError("the distribution declares that name more than once"))
            return
        try:
            with self._importing(entry, entry.label):
                plugin = _instance(entry.load())
        except _ENDS:
            raise
        except BaseException as error:
            self.fail(entry, "import", error)
            return
        try:
            self._register(plugin, key, entry)
        except MisspeltHook as error:
            # Its author relies on a hook that would never be called: silence would be worse than the end.
            raise MisspeltHook(
                f"{error}; correct it, or skip the plugin with {_skip(entry.dist.shown, entry.label)}"
            ) from error
        except _ENDS:
            raise
        except BaseException as error:
            self.fail(entry, "register", error)

    def _load_third_parties(self) -> None:
        for key, entry in list(self._entries.items()):
            if entry.kind != OBSERVERS and not (entry.builtin or self._manager.is_blocked(key)):
                self.load(entry, Component(entry.kind, entry.name, entry.load, target=entry.target))

    def _check_pending(self) -> None:
        """Finds misspelt hooks of plugins that somebody gave to the manager itself."""
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugins: {error}") from error

    def load(self, entry: Entry, component: Component) -> Any:
        """Returns a component's class or factory, imported.

        Args:
            entry: who provides it.
            component: as the provider gave it.

        Raises:
            PluginLoadError: it cannot be imported, or cannot be called.
        """
        label = f"{component.kind}/{component.name}"
        try:
            with self._importing(entry, label):
                factory = component.load()
            if not callable(factory):
                raise InvalidType(f"{component.target!r} is {describe(factory)}, which cannot be called")
        except _ENDS:
            raise
        except BaseException as error:
            failure = self._note(entry, label, "import", error)
            raise _load_error(failure, f"{component.kind[:-1]} {component.name!r}") from error
        self._failures.pop((entry.dist.name, label), None)
        return factory

    def fail(self, entry: Entry, phase: str, error: BaseException) -> None:
        """Keeps what went wrong with a plugin nobody asked for by name, and says it in one line, once.

        Raises:
            PluginLoadError: strict.
        """
        told = (entry.dist.name, entry.label) in self._failures
        failure = self._note(entry, entry.label, phase, error)
        if self._selection.strict:
            raise _load_error(failure, entry.label) from error
        if not told:
            _LOG.warning("%s; it is skipped", _load_error(failure, entry.label))

    def _note(self, entry: Entry, label: str, phase: str, error: BaseException) -> PluginFailure:
        failure = PluginFailure(entry.dist.shown, entry.dist.version, label, phase, error)
        return self._failures.setdefault((entry.dist.name, label), failure)

    def callers(self, hook: str) -> Iterator[tuple[str, Entry, Callable[..., Any]]]:
        """Yields, in pluggy's order, each plugin's name, its entry, and pluggy's caller of it alone."""
        implementations = getattr(self.manager.hook, hook).get_hookimpls()
        for implementation in reversed(implementations):
            plugin, key = implementation.plugin, implementation.plugin_name
            others = [other.plugin for other in implementations if other.plugin is not plugin]
            entry = self._entries.get(key) or Entry(OBSERVERS, key, Distribution())
            call: Callable[..., Any] = self._manager.subset_hook_caller(hook, others)
            if self._trace is not None and not isinstance(plugin, LazyPlugin):
                call = self._trace.traced(call, hook, key, entry)
            yield key, entry, call

    def _importing(self, entry: Entry, label: str) -> AbstractContextManager[None]:
        return nullcontext() if self._trace is None else self._trace.importing(entry, label)


def catalogue_hook(kind: str) -> str:
    """Returns the name of the hook that gives a kind's components."""
    return f"{hookspecs.PROJECT}_{kind}"


@contextmanager
def blaming(entry: Entry, hook: str) -> Iterator[None]:
    """Notes on an error which plugin raised it, in which hook; sys.exit() becomes a PluginError."""
    try:
        with no_exit(f"{hook}() of plugin {entry.name!r} ({entry.provider})"):
            yield
    except Exception as error:
        error.add_note(f"raised in {hook}() of plugin {entry.name!r} ({entry.provider})")
        raise


def check_answers(entry: Entry, hook: str, answers: Iterable[Any]) -> None:
    """Raises PluginError where a plugin's hook gave a coroutine, or a generator that nobody would run."""
    for answer in answers:
        lists = hook.endswith("_hooks") and hook != "expcore_adapt_hooks"
        check_ran(answer, f"{hook}() of plugin {entry.name!r} ({entry.provider})", generators=lists)


def _instance(plugin: Any) -> Any:
    return plugin() if inspect.isclass(plugin) else plugin


def _load_error(failure: PluginFailure, subject: str) -> PluginLoadError:
    return PluginLoadError(
        f"{subject} ({failure.dist} {failure.version}): {failure.phase} failed: {one_line(failure.error)}; "
        f"{_mend(failure)}, or skip it with {_skip(failure.dist, failure.entry)}"
    )


def _mend(failure: PluginFailure) -> str:
    if isinstance(failure.error, DamagedMetadata):  # pip cannot uninstall it either
        return f"install {failure.dist} anew, or remove {failure.error.folder}"
    return f"repair or uninstall {failure.dist}"


def _skip(dist: str, label: str) -> str:
    # A name with a comma would fall into two where the variable is read.
    return f"{DISABLE}={dist}" if "," in label else f"{DISABLE}={dist}:{label}"
