"""Config files: YAML, JSON and TOML read as plain data, bounded, merged; nothing in them is ever executed."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from expcore.errors import ConfigError, listing, nearest, one_line

MAX_BYTES = 1_000_000
"""No config file may be larger."""

MAX_DEPTH = 50
"""Objects and lists may not be nested deeper."""

MAX_VALUES = 200_000
"""No config may hold more values, counted after YAML's aliases are written out."""

_MAX_ALIASES = 1_000
_YAML_1_2_FLOAT = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+\Z")


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a ``.yaml``, ``.yml``, ``.json`` or ``.toml`` file.

    Returns:
        Dicts, lists and scalars, no part of it shared.

    Raises:
        ConfigError: the file cannot be read, has another suffix, is empty, is larger than ``MAX_BYTES``, is
            not UTF-8 or not well formed, has a key twice or one that is no string, has a YAML tag beyond
            plain data, or breaks ``MAX_DEPTH`` or ``MAX_VALUES``.
    """
    name = os.fsdecode(path)
    suffix = Path(name).suffix.lower()
    if suffix not in _READERS:
        known = list(_READERS)
        raise ConfigError(
            f"config {name!r}: suffix {suffix!r} is not among {listing(known)}{nearest(suffix, known)}; "
            "rename or convert the file"
        )
    text = _text(name)
    if not text.strip():
        raise ConfigError(f"config {name!r}: the file is empty; give at least an estimator and its data")
    try:
        value = _READERS[suffix](text)
    except RecursionError as error:
        raise ConfigError(f"config {name!r}: {_TOO_DEEP}") from error
    except ValueError as error:  # the errors of the json and tomllib modules, and what the readers raise
        raise ConfigError(f"config {name!r}: {one_line(error)}; correct the file") from error
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"config {name!r}: it holds a {type(value).__name__}; a config is a mapping of keys, write it so"
        )
    return dict(plain(value, f"config {name!r}"))


_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH}; write it flatter"


def _text(name: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):
            raise ConfigError(
                f"config {name!r}: it is not a file; give the path of a YAML, JSON or TOML file"
            )
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"config {name!r}: it cannot be read: {one_line(error)}; check the path") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"config {name!r}: it is larger than {MAX_BYTES} bytes; keep data out of configs")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"config {name!r}: it is not UTF-8 ({error}); save it as UTF-8") from error


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_pairs)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _read_yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, _yaml_loader())  # noqa: S506  (it derives from the safe one)
    except (yaml.YAMLError, AttributeError, ArithmeticError, LookupError, TypeError) as error:
        # Besides its own errors the library lets out what Python raises for values like !!bool maybe.
        raise ValueError(f"it is not plain YAML: {one_line(error)}") from error


@cache
def _yaml_loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader that also refuses double keys and floods of aliases."""

        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                self.aliases += 1
                if self.aliases > _MAX_ALIASES:
                    raise ValueError(f"it has more than {_MAX_ALIASES} aliases")
            return super().compose_node(parent, index)

        def compose_mapping_node(self, anchor: Any) -> Any:
            # Here, not when values are made: there, merged keys (<<) look like double ones.
            node = super().compose_mapping_node(anchor)
            seen = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise ValueError(f"line {line}: the key {key.value!r} stands twice in one mapping")
                seen.add((key.tag, str(key.value)))
            return node

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MAX_ALIASES:  # merges of merges double with every level
                raise ValueError(f"a mapping has more than {_MAX_ALIASES} keys")

    # YAML 1.1 takes 1e-3 for a string; everybody who writes it means the number.
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _YAML_1_2_FLOAT, list("+-.0123456789"))
    return Loader


_READERS: dict[str, Callable[[str], Any]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
    ".toml": tomllib.loads,
}


def plain(value: Any, subject: str) -> Any:
    """Returns a copy whose mappings are dicts and whose lists are new; other objects are kept as they are.

    Raises:
        ConfigError: a key is not a string, or ``MAX_DEPTH`` or ``MAX_VALUES`` is broken.
    """
    left = MAX_VALUES

    def copy(value: Any, path: str, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConfigError(
                f"{subject}: it holds more than {MAX_VALUES} values once its aliases are written out; "
                "keep data out of configs"
            )
        if depth > MAX_DEPTH:
            raise ConfigError(f"{subject}: {_TOO_DEEP}")
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise ConfigError(
                        f"{subject}: the key {key!r} in {path or 'it'} is no string; put it in quotes"
                    )
            return {k: copy(v, f"{path}.{k}" if path else k, depth + 1) for k, v in value.items()}
        if isinstance(value, list):
            return [copy(v, f"{path}[{n}]", depth + 1) for n, v in enumerate(value)]
        return value

    return copy(value, "", 0)


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Returns both; where both have a key, mappings are merged and anything else is the second's.

    The keys keep the order in which they were first seen.
    """
    merged = dict(first)
    for key, value in second.items():
        mine = merged.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            value = merge(mine, value)
        merged[key] = value
    return merged
