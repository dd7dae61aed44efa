"""New plugins of every kind: from nothing to a passing distribution in two commands, and installed."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from expcore.scaffold import KINDS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(250)]

_spec = importlib.util.spec_from_file_location("wheels", Path(__file__).with_name("test_wheels.py"))
wheels_ = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheels_)

DISTS = {kind: f"expcore-my{kind}" for kind in KINDS}


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """An environment with the wheel of expcore alone."""
    folder, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    source = wheels_.copy_of_the_source(folder / "expcore")
    build(source, out)
    wheels = [wheels_.Wheel(path) for path in out.iterdir()]
    return wheels_.Environment(tmp_path_factory.mktemp("env"), {w.metadata["Name"]: w for w in wheels})


def build(*arguments):
    *sources, out = arguments
    wheels_.told(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", out, *sources),
        cwd=out,
    )


@pytest.fixture(scope="module")
def projects(env):
    """The new distributions, each made by the command, as a user would."""
    for kind, dist in DISTS.items():
        stdout, stderr = env.expcore("plugins", "new", dist, "--kind", kind)
        assert stdout == f"{dist} is written: the {kind} 'my{kind}'; next: pytest {dist}\n"
        assert stderr == ""
    return {kind: env.cwd / dist for kind, dist in DISTS.items()}


def pytest_of(env, folder, *args, cwd=None):
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *args)
    return wheels_.told(env.bin / "python", *words, folder, cwd=cwd or env.cwd)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_passes_its_tests_before_it_is_even_installed(env, projects, kind):
    assert re.search(r"^2 passed", pytest_of(env, projects[kind]), re.MULTILINE)


def test_every_project_is_clean_by_mypy_and_ruff(env, projects):
    tools = ["mypy"], ["ruff", "check", "."], ["ruff", "format", "--check", "."]
    for folder in projects.values():
        for tool in tools:
            wheels_.told(env.bin / "python", "-m", *tool, cwd=folder)


@pytest.fixture(scope="module")
def installed(env, projects, tmp_path_factory):
    out = tmp_path_factory.mktemp("strangers")
    build(*projects.values(), out)
    env.pip("install", "--no-deps", "--no-index", *out.iterdir())
    return env


def test_every_installed_component_is_active_and_without_findings(installed):
    rows = installed.plugins()
    for kind, dist in DISTS.items():
        assert rows[KINDS[kind], f"my{kind}", dist] == ("0.1.0", "active")
        stdout, _ = installed.expcore("plugins", "check", dist, "--strict", "--format", "json")
        assert [f for f in json.loads(stdout)["findings"] if f["level"] != "note"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_installed_project_passes_conformance_by_the_command_and_by_pytest(installed, kind):
    stdout, _ = installed.expcore("conformance", DISTS[kind], "--fail-on", "should")
    ran, total = re.search(r"^ok .* ran (\d+) of (\d+) clauses", stdout).groups()
    assert int(ran) > 8
    assert int(total) - int(ran) < 6
    (installed.cwd / "empty").mkdir(exist_ok=True)
    told = pytest_of(installed, "empty", f"--expcore-conformance={DISTS[kind]}")
    assert re.search(rf"^{int(ran) + 1} passed", told, re.MULTILINE)
