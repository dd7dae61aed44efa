"""An environment without TensorFlow: the conformance suite proves itself, and strangers' plugins, there."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from expcore.conformance.mutants import load_proof
from expcore.scaffold import KINDS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(250)]

_spec = importlib.util.spec_from_file_location("wheels", Path(__file__).with_name("test_wheels.py"))
wheels_ = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheels_)

WANTED = {"pytest", "numpy"}
LEFT_OUT = {"tensorflow", "keras"}


def needed(requirements):
    """The names of installed distributions that these requirements bring, TensorFlow's left out."""
    found, todo = set(), list(requirements)
    while todo:
        requirement = Requirement(todo.pop())
        name = canonicalize_name(requirement.name)
        unmet = requirement.marker and not requirement.marker.evaluate({"extra": ""})
        if name in found | LEFT_OUT or unmet:
            continue
        try:
            todo += distribution(name).requires or ()
        except PackageNotFoundError:
            continue
        found.add(name)
    return found


def link(names, site):
    """Shows the named distributions, and nothing else, of the running environment in another."""
    outer = Path(sysconfig.get_path("purelib"))
    for name in names:
        tops = {
            path.parts[0] for path in distribution(name).files if path.parts[0] not in ("..", "__pycache__")
        }
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(outer / top)


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    source = wheels_.copy_of_the_source(folder / "expcore")
    wheels_.told(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", out, source),
        cwd=out,
    )
    return Thin(tmp_path_factory.mktemp("env"), *out.iterdir())


class Thin(wheels_.Environment):
    """A fresh environment with expcore's wheel and its dependencies, but without TensorFlow and Keras."""

    def __init__(self, folder, wheel):
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin, self.cwd = folder / "venv" / "bin", folder / "elsewhere"
        self.cwd.mkdir()
        self.pip("install", "--no-deps", "--no-index", wheel)
        (self.site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        link(needed({*wheels_.PROJECT["project"]["dependencies"], *WANTED}), self.site)


def test_there_is_no_tensorflow_and_no_keras(env):
    found = env.python(
        "import json; from importlib.util import find_spec\n"
        "print(json.dumps([n for n in ('tensorflow', 'keras', 'numpy', 'pluggy', 'pytest') if find_spec(n)]))"
    )
    assert found == ["numpy", "pluggy", "pytest"]


def test_every_reference_of_the_suite_passes_every_clause(env):
    """The mutants are tried where TensorFlow is; what would not work here would fail a reference."""
    shutil.copy(wheels_.ROOT / "tests/core/test_conformance_proof.py", env.cwd)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "reference", "test_conformance_proof.py")
    told, _ = wheels_.told(env.bin / "python", *words, cwd=env.cwd)
    references = sum(len(load_proof(kind).references) for kind in KINDS)
    assert int(re.search(r"^(\d+) passed", told, re.MULTILINE)[1]) >= references > 15
    assert "skipped" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_of_each_kind_passes(env, kind):
    dist = f"expcore-thin{kind}"
    env.expcore("plugins", "new", dist, "--kind", kind)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", dist)
    assert "2 passed" in wheels_.told(env.bin / "python", *words, cwd=env.cwd)[0]


@pytest.mark.parametrize("kind", ["predicate", "schedule", "observer"])
def test_the_built_ins_that_need_no_tensorflow_keep_every_promise_from_the_wheel(env, kind):
    stdout, _ = env.expcore("conformance", "expcore", "--kind", kind, "--format", "json")
    found = json.loads(stdout)
    assert found["ok"]
    assert {component["counts"]["xfail"] for component in found["components"]} == {0}
