"""Project: the names of a new distribution, and writing it from the templates."""

from __future__ import annotations

import builtins
import keyword
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from expcore.errors import CannotWrite, InvalidArgument, listing, nearest
from expcore.host.discovery import canonical
from expcore.temporary import temporary_directory

KINDS = {
    "exporter": "exporters",
    "schedule": "schedules",
    "hook": "hooks",
    "predicate": "predicates",
    "estimator": "estimators",
    "observer": "plugins",
}
"""Each kind that there is a template for, and the end of its entry-point group."""

_DIST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_CONFORMANCE = "test_conformance.py"
_FILES = {
    ".github/workflows/test.yml": "ci.yml",
    ".gitignore": "gitignore",
    "README.md": "readme.md",
    "pyproject.toml": "pyproject.toml",
    "tests/test_conformance.py": _CONFORMANCE,
}
"""The template of each file that all kinds have."""

_BUILTINS = frozenset(vars(builtins))
_COMPONENT = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Project:
    """A distribution of one component.

    Attributes:
        dist: its name, such as "expcore-myexporter"; letters, digits, '-', '_' and '.'.
        kind: one of ``KINDS``.
        component: the component's name, as in configs: a lower-case Python name. "": the distribution's
            without "expcore-".

    Raises:
        InvalidArgument: a name cannot be used, or there is no such kind.
    """

    dist: str
    kind: str
    component: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidArgument(
                f"--kind {self.kind}: it is not among {listing(list(KINDS))}{nearest(self.kind, KINDS)}"
            )
        if not _DIST.fullmatch(self.dist):
            raise InvalidArgument(
                f"distribution {self.dist!r}: its name may have letters, digits, '-', '_' and '.', begins "
                "and ends with a letter or digit; call it for example expcore-myexporter"
            )
        if not self.package.isidentifier() or keyword.iskeyword(self.package):
            raise InvalidArgument(
                f"distribution {self.dist!r}: {self.package!r} cannot be a Python package; "
                "call it for example expcore-myexporter"
            )
        if find_spec(self.package) is not None and not _is_own(self.dist):
            raise InvalidArgument(
                f"distribution {self.dist!r}: its package {self.package!r} would hide another; "
                "call it for example expcore-myexporter"
            )
        if not _COMPONENT.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise InvalidArgument(
                f"component {self.name!r}: it must be lower-case letters, digits and '_', begin with one "
                "and be no keyword of Python; give one with --name"
            )

    @property
    def package(self) -> str:
        """The Python package."""
        return canonical(self.dist).replace("-", "_")

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component or self.package.removeprefix("expcore_")

    @property
    def target(self) -> str:
        """What the entry point names: a class, or the function of a schedule."""
        if self.kind == "schedule":
            name, other = self.name, f"run_{self.name}"
        else:
            name = "".join(part.capitalize() for part in self.name.split("_"))
            other = f"{self.kind.capitalize()}{name}"
        code = "".join(map(_source, (f"component_{self.kind}.py", f"test_{self.kind}.py", _CONFORMANCE)))
        taken = re.search(rf"\b{name}\b", code) or name in _BUILTINS
        # pytest would take what begins like a test for one.
        return other if taken or name.lower().startswith("test") else name

    def values(self) -> dict[str, str]:
        """Returns what stands for the templates' placeholders."""
        from importlib_metadata import version

        major, minor = version("expcore").split(".")[:2]
        bounds = (
            f">={major}.{minor},<{int(major) + 1}" if major != "0" else f">=0.{minor},<0.{int(minor) + 1}"
        )
        return {
            "dist": self.dist,
            "package": self.package,
            "kind": self.kind,
            "group": f"expcore.{KINDS[self.kind]}",
            "label": f"{KINDS[self.kind]}/{self.name}",
            "name": self.name,
            "target": self.target,
            "bounds": bounds,
        }


def write(project: Project, parent: Path) -> Path:
    """Writes the distribution into a new folder of its name below ``parent``, all of it or nothing.

    Returns:
        The folder.

    Raises:
        CannotWrite: the folder exists already, or cannot be written.
    """
    folder = parent / project.dist
    if os.path.lexists(folder):
        raise CannotWrite(f"{folder}: it exists already, and is left as it is; name another or remove it")
    if not parent.is_dir():
        raise CannotWrite(f"{parent}: it is not a folder; make it first, or give another with --directory")
    try:
        with temporary_directory(str(parent)) as place:
            for path, text in rendered(project):
                target = Path(place, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            os.rename(place, folder)
    except OSError as error:
        raise CannotWrite(f"{folder}: it cannot be written ({error.strerror}); name another place") from error
    return folder


def rendered(project: Project) -> Iterator[tuple[str, str]]:
    """Yields the path and text of every file."""
    values = project.values()
    texts = {path: _source(template) for path, template in _FILES.items()}
    texts[f"src/{project.package}/py.typed"] = ""
    texts[f"src/{project.package}/__init__.py"] = _source(f"component_{project.kind}.py")
    texts["tests/test_behaviour.py"] = _source(f"test_{project.kind}.py")
    for path, text in sorted(texts.items()):
        yield path, Template(text).substitute(values)


def _is_own(dist: str) -> bool:
    """Whether a plugin of that name is installed, which is now made anew, so that the package is its own."""
    from importlib_metadata import PackageNotFoundError, distribution

    try:
        return canonical(dist).startswith("expcore-") and distribution(dist) is not None
    except PackageNotFoundError:
        return False


def _source(template: str) -> str:
    return (files("expcore.scaffold") / f"{template}.txt").read_text(encoding="utf-8")
