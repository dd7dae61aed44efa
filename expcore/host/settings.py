"""Settings: what ``[tool.expcore]`` of the nearest pyproject.toml says about plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expcore.errors import ConfigError, InvalidArgument, listing, nearest
from expcore.host.discovery import Distribution, canonical
from expcore.host.selection import Source

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FILE, TABLE = "pyproject.toml", "[tool.expcore]"

_IN_CODE = "{} in settings given in code"

KEYS = ("use", "disable", "allow", "strict", "require")
"""What can be set; a table ``conformance`` beside them belongs to ``expcore.conformance``."""


@dataclass(frozen=True)
class Settings:
    """What a table says, checked.

    Attributes:
        path: the file; None where the table was given in code, or where there is none.
        content: the table without what is not the host's.
        source: what it chooses and switches off.
        require: distributions that have to be installed when a run starts.
    """

    path: Path | None = None
    content: Mapping[str, Any] = field(default_factory=dict)
    source: Source = field(default_factory=lambda: Source(_IN_CODE, {}))
    require: tuple[Requirement, ...] = ()


class Project:
    """The settings of a host, read and checked when they are first needed.

    Args:
        given: a table that was given in code; None: the project's file counts.
        start: the folder from which upwards the file is looked for; None: no file is read.
    """

    def __init__(self, given: Mapping[str, Any] | None, start: Path | None) -> None:
        self._given, self._start = given, start

    @cached_property
    def settings(self) -> Settings:
        """The settings; empty where there are none.

        Raises:
            ConfigError: the file is no TOML, or a key or value is wrong.
        """
        if self._given is not None:
            return _checked(self._given, None)
        path, table = find_table(self._start) if self._start is not None else (None, {})
        return _checked(table, path) if path is not None else Settings()

    def record(self) -> dict[str, Any] | None:
        """Returns path (None: given in code) and content as JSON data; None where there are none.

        Raises:
            ConfigError: as ``settings``.
        """
        found = self.settings
        if found.path is None and self._given is None:
            return None
        return {"path": None if found.path is None else str(found.path), "content": dict(found.content)}


def read_settings(start: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """Finds the nearest pyproject.toml with a table ``[tool.expcore]`` and returns its path and that table.

    Args:
        start: the folder to begin with; those above it follow.

    Returns:
        The path and the table without ``conformance``; None and an empty table where there is none.

    Raises:
        ConfigError: a file on the way is no TOML, or a key or value of the table is wrong.
    """
    path, table = find_table(start)
    return (path, _checked(table, path).content) if path is not None else (None, {})


def here() -> Path | None:
    """Returns the working directory; None where it was removed."""
    try:
        return Path.cwd()
    except OSError:
        return None


def check_installed(settings: Settings, dists: Iterable[Distribution]) -> None:
    """Checks that the required distributions are there.

    Args:
        settings: what is required.
        dists: distributions that are known already; the others are asked of ``importlib_metadata``.

    Raises:
        ConfigError: some are missing or of another version; all are named.
    """
    if not settings.require:
        return
    known = {dist.name: dist.version for dist in dists}
    wrong = [
        (requirement, fault)
        for requirement in settings.require
        if (fault := _fault(requirement, known)) and (not requirement.marker or requirement.marker.evaluate())
    ]
    if wrong:
        told = "; ".join(f"{requirement} is required, {fault}" for requirement, fault in wrong)
        command = " ".join(f"'{str(requirement).partition(';')[0].strip()}'" for requirement, _ in wrong)
        raise ConfigError(f"{_where('require', settings.path)}: {told}; pip install {command}")


def _fault(requirement: Requirement, known: Mapping[str, str]) -> str | None:
    from packaging.version import InvalidVersion

    version = known.get(canonical(requirement.name)) or _installed(requirement.name)
    if version is None:
        return "it is not installed"
    try:
        good = requirement.specifier.contains(version, prereleases=True)
    except InvalidVersion:
        good = not requirement.specifier
    return None if good else f"{version or 'no version'} is installed"


def _installed(name: str) -> str | None:
    import importlib_metadata

    try:
        return Distribution(importlib_metadata.distribution(name)).version
    except importlib_metadata.PackageNotFoundError:
        return None


def find_table(start: Path) -> tuple[Path | None, Mapping[str, Any]]:
    """Returns path and content of the nearest ``[tool.expcore]`` as it stands there, unchecked.

    Raises:
        ConfigError: a file on the way is no TOML.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        path = folder / FILE
        if not path.is_file():
            continue
        tool = _toml(path).get("tool", {})
        if isinstance(tool, Mapping) and "expcore" in tool:
            return path, tool["expcore"]
    return None, {}


def _toml(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read ({error.strerror}); mend its rights") from error
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise ConfigError(
            f"{path}: it is no TOML ({' '.join(str(error).split())}); correct it, or work in another folder"
        ) from error


def _where(key: str, path: Path | None) -> str:
    place = f"{path}, {TABLE}" if path is not None else "settings"
    return f"{place}: {key}" if key else place


def _checked(table: Any, path: Path | None) -> Settings:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{_where('', path)}: {table!r} is no table; write {TABLE} and keys below it")
    content = {key: value for key, value in table.items() if key != "conformance"}
    for key in content:
        if key not in KEYS:
            raise ConfigError(
                f"{_where(repr(key), path)}: there is no such key{nearest(str(key), KEYS)}; "
                f"there are {listing((*KEYS, 'conformance'))}"
            )
    for key in ("disable", "allow", "require"):
        _check_words(content.get(key, []), _where(key, path))
    _check_use(content.get("use", {}), _where("use", path))
    if not isinstance(content.get("strict", False), bool):
        raise ConfigError(f"{_where('strict', path)}: {content['strict']!r} is not true or false")
    form = f"{{}} in {FILE if path.parent == here() else path}, {TABLE}" if path is not None else _IN_CODE
    given = (content.get(key) for key in ("use", "disable", "allow", "strict"))
    try:
        source = Source.read(form, *given)
    except InvalidArgument as error:
        raise ConfigError(f"{_where('use', path)}: {error}") from error
    return Settings(path, content, source, _requirements(content.get("require", []), path))


def _check_words(words: Any, where: str) -> None:
    if not isinstance(words, list | tuple):
        raise ConfigError(f"{where}: {words!r} is no list; write a list of strings, such as ['...']")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise ConfigError(f"{where}: {word!r} is not a word; write a list of strings that are not empty")


def _check_use(use: Any, where: str) -> None:
    if not isinstance(use, Mapping):
        if not isinstance(use, list | tuple):
            raise ConfigError(
                f"{where}: {use!r} is neither a table nor a list; write for example "
                '{"exporters/best" = "expcore-mybest"} or ["exporters/best=expcore-mybest"]'
            )
        _check_words(use, where)
        return
    for label, dist in use.items():
        if not isinstance(label, str) or not isinstance(dist, str) or not dist.strip():
            raise ConfigError(
                f"{where}: {label!r} = {dist!r}: a choice is a distribution's name; "
                'write for example "exporters/best" = "expcore-mybest"'
            )


def _requirements(texts: Iterable[str], path: Path | None) -> tuple[Requirement, ...]:
    texts = list(texts)
    return tuple(map(_parser(path), texts)) if texts else ()


def _parser(path: Path | None) -> Callable[[str], Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement  # costs what few need

    def parsed(text: str) -> Requirement:
        try:
            return Requirement(text)
        except InvalidRequirement as error:
            raise ConfigError(
                f"{_where('require', path)}: {text!r} is no requirement "
                f"({str(error).splitlines()[0]}); write for example 'expcore-myexporter>=0.3'"
            ) from error

    return parsed
