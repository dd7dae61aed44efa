"""The FILE of ``expcore run``: a Python file with a function, or a config."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from expcore.calling import accepts
from expcore.errors import ConfigError, InvalidArgument, InvalidType, listing, nearest, one_line

FUNCTION = "experiment"
"""The function that is called where FILE names none."""

_CONFIGS = (".yaml", ".yml", ".json", ".toml")


@dataclass(frozen=True)
class ExperimentFile:
    """What a file gives.

    Attributes:
        build: ``build(output_dir=...)``, returns the experiment.
        schedule: the schedule that a config names; None: by task.
        options: the schedule's options, as a config gives them.
    """

    build: Callable[..., Any]
    schedule: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def read(file: str, *, allow_imports: bool) -> ExperimentFile:
    """Reads a file; a Python file is executed.

    Args:
        file: a path, for a Python file also ``path:function``.
        allow_imports: whether a config may name code.

    Raises:
        InvalidArgument: there is no such file, or it is of another kind.
        ConfigError: its code or its content is wrong.
    """
    check_file(file)
    path, function = _split(file)
    if _ending(path) == ".py":
        return ExperimentFile(_function(_execute(path), path, function))
    return _config(path, allow_imports)


def _split(file: str) -> tuple[str, str]:
    path, colon, function = file.rpartition(":")
    if colon and path.endswith(".py") and not os.path.exists(file):
        return path, function
    return file, FUNCTION


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def check_name(file: str) -> None:
    """Raises InvalidArgument where ``read`` would take no file of this name, wherever it is."""
    path = _split(file)[0]
    if _ending(path) not in (".py", *_CONFIGS):
        raise InvalidArgument(
            f"file {path!r}: its name must end with .py, or with one of {listing(_CONFIGS)} for a config"
        )


def check_file(file: str) -> None:
    """Raises InvalidArgument where ``read`` would find no file; nothing is executed."""
    path = _split(file)[0]
    if os.path.isdir(path):
        raise InvalidArgument(f"file {path!r}: it is a folder; name the file in it")
    if not os.path.exists(path):
        folder, name = os.path.split(path)
        beside = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        raise InvalidArgument(f"file {path!r}: there is no such file{nearest(name, beside)}")
    check_name(file)


def _config(path: str, allow_imports: bool) -> ExperimentFile:
    from expcore.config import create_experiment, schedule_of

    schedule, options = schedule_of(path)

    def build(output_dir: str) -> Any:
        return create_experiment(path, output_dir=output_dir, allow_imports=allow_imports)

    return ExperimentFile(build, schedule, options)


def _execute(path: str) -> ModuleType:
    """Executes a Python file as a module, with its folder first on the path, as ``python FILE`` does."""
    full = os.path.abspath(path)
    sys.path.insert(0, os.path.dirname(full))
    name = _module_name(full)
    spec = importlib.util.spec_from_file_location(name, full)
    assert spec is not None  # noqa: S101  (the name ends with .py)
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"file {path!r}, line {_line(error, full)}: {one_line(error)}") from error
    return module


def _module_name(path: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    taken = stem in sys.modules or stem in sys.stdlib_module_names or not stem.isidentifier()
    return f"_expcore_run_{stem}" if taken else stem  # a file called json.py must not become everybody's json


def _line(error: BaseException, path: str) -> int:
    """Returns the line of the file at which an error came up, however deep it was raised."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 1
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    return (lines[-1] if lines else None) or 1


def _function(module: ModuleType, path: str, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if function is None:
        own = [
            n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__
        ]
        advice = (
            "" if name != FUNCTION else f"; write def {FUNCTION}(output_dir), or name one: {path}:function"
        )
        raise ConfigError(
            f"file {path!r}: it has no function {name!r}{nearest(name, own)}; it has {listing(own)}{advice}"
        )
    if not callable(function):
        raise InvalidType(f"file {path!r}: {name!r} is {type(function).__name__}, not a function")
    if not accepts(function, "output_dir"):
        raise ConfigError(
            f"file {path!r}: {name}{inspect.signature(function)} does not take output_dir; add that parameter"
        )
    return function  # type: ignore[no-any-return]
