"""Runs every Python block of README.md and docs/*.md; those of one file share a namespace and a folder."""

from __future__ import annotations

import doctest
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import PythonCodeBlockParser

from expcore.host import set_default_host

_TENSORFLOW = re.compile(r"^(import|from) [\w., ]*\b(tensorflow|keras)\b", re.MULTILINE)
_KEPT = "_before_this_document"


def _enter(namespace: dict[str, Any]) -> None:
    """Gives a document an empty working directory, and remembers what its blocks may change."""
    folder = tempfile.TemporaryDirectory(prefix="expcore-docs-")
    namespace[_KEPT] = (folder, os.getcwd(), dict(os.environ), list(sys.path), set_default_host(None))
    namespace["__name__"] = "__docs__"
    for name in [n for n in os.environ if n.startswith(("EXPCORE_", "TF_CONFIG"))]:
        del os.environ[name]
    os.chdir(folder.name)


def _leave(namespace: dict[str, Any]) -> None:
    folder, cwd, environ, path, host = namespace.pop(_KEPT)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    set_default_host(host)
    folder.cleanup()


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)],
    patterns=["README.md", "docs/*.md"],
    excludes=["examples/*/*"],
    setup=_enter,
    teardown=_leave,
).pytest()


def _needs_tensorflow(path: Path) -> bool:
    """Whether a block imports TensorFlow or Keras; a file is marked as one, for its blocks hang together."""
    return _TENSORFLOW.search(path.read_text()) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the blocks of files that need TensorFlow, before anything is selected by mark."""
    documents = {item.path for item in items if isinstance(item, SybilItem)}
    heavy = {path for path in documents if _needs_tensorflow(path)}
    for item in items:
        if isinstance(item, SybilItem) and item.path in heavy:
            item.add_marker(pytest.mark.tf)
