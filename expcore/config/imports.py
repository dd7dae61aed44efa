"""References in a config, ``package.module:attribute`` or ``./file.py:attribute``, loaded where allowed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import zlib
from types import ModuleType
from typing import Any

from expcore.errors import ConfigError, nearest, one_line

_DOTTED = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_MODULE = re.compile(rf"(?P<module>{_DOTTED}):(?P<attribute>{_DOTTED})")
_FILE = re.compile(rf"(?P<file>.*\.py):(?P<attribute>{_DOTTED})", re.DOTALL)


def is_reference(text: str) -> bool:
    """Whether a string has the form of a reference."""
    return bool(_FILE.fullmatch(text) or _MODULE.fullmatch(text))


def anchored(text: str, folder: str) -> str:
    """Returns a reference to a relative file as one to the same file below ``folder``; others as they are."""
    found = _FILE.fullmatch(text)
    if found is None:
        return text
    return f"{os.path.normpath(os.path.join(folder, found['file']))}:{found['attribute']}"


class Imports:
    """Loads references, each file once.

    Args:
        allowed: whether the caller allowed imports; if not, every reference is an error.
    """

    def __init__(self, allowed: bool) -> None:
        self._allowed = allowed
        self._files: dict[str, ModuleType] = {}

    def check(self, text: str, path: str) -> None:
        """Checks a reference without importing anything.

        Raises:
            ConfigError: it is not of the form of a reference, or imports are not allowed.
        """
        if not is_reference(text):
            raise ConfigError(
                f"{path}: {text!r} is not of the form package.module:attribute or ./file.py:attribute; "
                "write one of these, or give the object itself in code"
            )
        if not self._allowed:
            raise ConfigError(
                f"{path}: {text!r} would import and run code, which a config may only where that is allowed; "
                "pass allow_imports=True (--allow-imports) if you trust the config"
            )

    def load(self, text: str, path: str) -> Any:
        """Imports and returns what a reference names.

        The folder of a file goes to the end of ``sys.path``, so that it can import its neighbours.

        Raises:
            ConfigError: as ``check``; or the import fails, or the attribute is not there.
        """
        self.check(text, path)
        file = _FILE.fullmatch(text)
        found = file or _MODULE.fullmatch(text)
        assert found is not None  # noqa: S101  (check would have raised)
        try:
            value: Any = self._file(found["file"]) if file else importlib.import_module(found["module"])
        except Exception as error:  # whatever the user's module does when it is imported
            raise ConfigError(
                f"{path}: {text!r} cannot be imported: {one_line(error)}; correct it"
            ) from error
        for part in found["attribute"].split("."):
            if not hasattr(value, part):
                close = nearest(part, vars(value)) if hasattr(value, "__dict__") else ""
                raise ConfigError(f"{path}: {text!r}: there is no {part!r}{close}; correct the name")
            value = getattr(value, part)
        return value

    def _file(self, name: str) -> ModuleType:
        file = os.path.abspath(name)
        if file not in self._files:
            self._files[file] = _execute(file)
        return self._files[file]


def _execute(file: str) -> ModuleType:
    folder, base = os.path.split(file)
    # A name of its own: a file called json.py must not stand for the library's module.
    name = f"_expcore_config_{os.path.splitext(base)[0]}_{zlib.crc32(os.fsencode(file)):08x}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    if folder not in sys.path:
        sys.path.append(folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look modules up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
