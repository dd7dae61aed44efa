"""Clusters of real processes on loopback, in a network of their own."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def harness():
    """What harness.py has: run, run_cases."""
    return SimpleNamespace(**runpy.run_path(str(HERE / "harness.py")))
