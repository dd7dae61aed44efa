"""A plugin host that sees only what was put in, and distributions written to disk, for tests of plugins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import importlib_metadata

from expcore.calling import describe
from expcore.host import PluginHost, set_default_host
from expcore.host.discovery import BUILTIN, canonical, kind_of


@dataclass(frozen=True)
class _Distribution:
    name: str
    version: str


@dataclass(frozen=True)
class _EntryPoint:
    group: str
    name: str
    factory: Any
    dist: _Distribution

    @property
    def module(self) -> str:
        return __name__  # the factory is here already, wherever it was written

    @property
    def value(self) -> str:
        module = getattr(self.factory, "__module__", None) or getattr(self.factory, "__name__", "")
        return f"{module}:{describe(self.factory)}"

    def load(self) -> Any:
        return self.factory


class PluginSandbox:
    """A plugin host that sees no installed plugin, no environment variable and no project file.

    In a ``with`` statement it is the process's default host as well, so that an ``Experiment`` made inside
    uses it; afterwards the former one is back.

    Args:
        builtins: whether expcore's own components are there too.
        use: as for ``PluginHost``.
        disable: as for ``PluginHost``.
        allow: as for ``PluginHost``.
        strict: as for ``PluginHost``.
        settings: as for ``PluginHost``; None: none, whatever file there is.

    Attributes:
        host: the plugin host.
    """

    def __init__(
        self,
        *,
        builtins: bool = False,
        use: Mapping[str, str] | Iterable[str] | None = None,
        disable: Iterable[str] | None = None,
        allow: Iterable[str] | None = None,
        strict: bool | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        points = importlib_metadata.distribution(BUILTIN).entry_points if builtins else ()
        self.host = PluginHost(
            use=use,
            disable=disable,
            allow=allow,
            strict=strict,
            environ={},
            settings=settings,
            entry_points=points,
        )
        self._before: PluginHost | None = None

    def add(
        self, kind: str, name: str, factory: Any, dist: str = "sandbox", version: str = "0"
    ) -> PluginSandbox:
        """Adds a component as if a distribution had declared it; returns the sandbox.

        Args:
            kind: "exporters", "hooks", ..., or "plugins" for an observer; the singular will do.
            name: the component's name.
            factory: what the entry point would name: a class, a function, or an observer.
            dist: name of the distribution.
            version: its version.

        Raises:
            InvalidArgument: there is no such kind.
        """
        group = f"expcore.{kind_of(kind, observers=True)}"
        self.host.admit(_EntryPoint(group, name, factory, _Distribution(dist, version)))
        return self

    def observe(self, plugin: object, name: str | None = None) -> PluginSandbox:
        """Registers an observer: a module, an object, or a class; returns the sandbox.

        Raises:
            PluginError: it breaks the contract of ``expcore.hookspecs``.
        """
        self.host.register(plugin, name)
        return self

    def __enter__(self) -> PluginSandbox:
        self._before = set_default_host(self.host)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_default_host(self._before)


def fake_distribution(
    root: Path,
    name: str,
    version: str,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str] | None = None,
) -> Path:
    """Writes an installed distribution below ``root``, to be found once ``root`` is on ``sys.path``.

    Args:
        root: the folder, which stands for site-packages; made if need be.
        name: name of the distribution.
        version: its version.
        entry_points: ``module:attribute`` by entry name, by group.
        modules: source text by dotted module name; packages that contain them are made.

    Returns:
        The ``.dist-info`` folder.
    """
    info = root / f"{canonical(name).replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    sections = (
        f"[{group}]\n" + "".join(f"{entry} = {value}\n" for entry, value in entries.items())
        for group, entries in entry_points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(sections))
    written = [info / "METADATA", info / "entry_points.txt", *_modules(root, modules or {}), info / "RECORD"]
    lines = sorted(f"{path.relative_to(root).as_posix()},,\n" for path in written)
    (info / "RECORD").write_text("".join(lines))
    return info


def _modules(root: Path, modules: Mapping[str, str]) -> list[Path]:
    packages = {module.rpartition(".")[0] for module in modules} - {""}
    for package in list(packages):
        parts = package.split(".")
        packages |= {".".join(parts[:n]) for n in range(1, len(parts))}
    files = {
        root.joinpath(*package.split("."), "__init__.py"): modules.get(package, "") for package in packages
    }
    for module, source in modules.items():
        if module not in packages:
            files[root.joinpath(*module.split(".")).with_suffix(".py")] = source
    for path, source in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return list(files)
