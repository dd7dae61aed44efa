"""The distributions below examples/plugins: built, installed each alone, typed, tested from the wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDER = ROOT / "examples" / "plugins"
LEFTOVERS = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "runs")
EXAMPLES = {
    "expcore-onnx": ("exporters", "onnx"),
    "expcore-optuna": ("predicates", "optuna_pruner"),
    "expcore-sklearn": ("estimators", "sklearn"),
}
"""Each distribution, and the kind and name of its component."""

each = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.tf) if n == "expcore-onnx" else n for n in EXAMPLES]
)


def told(*command, cwd, code=0):
    """Runs a command and returns what it wrote to stdout."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "TF_CONFIG", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=own,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is built, without what earlier builds left in it."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("expcore", "plugins", "examples/plugins"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=LEFTOVERS)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def wheels(source, tmp_path_factory):
    """The wheels by name, expcore's among them."""
    out = tmp_path_factory.mktemp("wheels")
    folders = {"expcore": source} | {name: source / "examples" / "plugins" / name for name in EXAMPLES}
    for name, folder in folders.items():
        told(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", out / name, folder),
            cwd=out,
        )
    return {name: next((out / name).glob("*.whl")) for name in folders}


class Environment:
    """A fresh virtual environment with expcore and one example; the other libraries are the running one's."""

    def __init__(self, folder, *wheels):
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin, self.cwd = folder / "venv" / "bin", folder / "elsewhere"
        self.cwd.mkdir()
        self.pip("install", "--quiet", "--no-deps", "--no-index", *wheels)
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        # A plain path entry: the .pth files in there, such as an editable expcore's finder, are not read.
        outer = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (site / "outer.pth").write_text("\n".join(outer) + "\n")

    def pip(self, *args):
        return told(sys.executable, "-m", "pip", "--python", self.bin / "python", *args, cwd=self.cwd)

    def python(self, *args):
        return told(self.bin / "python", *args, cwd=self.cwd)


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    made = {}

    def of(name):
        if name not in made:
            made[name] = Environment(tmp_path_factory.mktemp(name), wheels["expcore"], wheels[name])
        return made[name]

    return of


def test_every_example_plugin_is_among_those_that_are_tested():
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(EXAMPLES)


@each
def test_its_component_is_listed_and_active(environment, name):
    env = environment(name)
    kind, component = EXAMPLES[name]
    rows = json.loads(told(env.bin / "expcore", "plugins", "list", "--format", "json", cwd=env.cwd))
    (row,) = [row for row in rows if row["provider"] == name]
    assert (row["kind"], row["name"], row["status"]) == (kind, component, "active")


@each
def test_what_it_needs_is_in_the_test_extra_of_expcore_and_installed(environment, name):
    needed = tomllib.loads((FOLDER / name / "pyproject.toml").read_text())["project"]
    wanted = [*needed["dependencies"], *needed["optional-dependencies"].get("verify", [])]
    extras = PROJECT["optional-dependencies"]
    ours = [*PROJECT["dependencies"], *extras["test"], *extras["examples"], "expcore"]
    come_along = {"keras", "joblib", "numpy"}  # with TensorFlow and scikit-learn
    assert {Requirement(r).name for r in wanted} <= {Requirement(r).name for r in ours} | come_along
    env = environment(name)
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(env.bin / "python"), "check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert checked.stdout, checked.stderr  # what else is installed beside it may well be at odds
    assert [line for line in checked.stdout.splitlines() if line.startswith(name)] == []


@each
def test_its_readme_has_every_parameter_of_its_component(environment, name):
    kind, component = EXAMPLES[name]
    program = (
        "import inspect, json\nfrom expcore import default_host\n"
        f"factory = default_host().load({kind!r}, {component!r})\n"
        "print(json.dumps(list(inspect.signature(factory).parameters)))"
    )
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", (FOLDER / name / "README.md").read_text(), re.MULTILINE)
    told_of = {parameter for row in rows for parameter in re.findall(r"`(\w+)`", row)}
    assert set(json.loads(environment(name).python("-c", program))) <= told_of


def readme_block(name, language):
    """The first block of a language in a distribution's README."""
    text = (FOLDER / name / "README.md").read_text()
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]


def test_the_study_of_the_readme_runs_and_again_does_nothing_more(environment):
    env = environment("expcore-optuna")
    (env.cwd / "study.py").write_text(readme_block("expcore-optuna", "python"))
    first, again = env.python("study.py"), env.python("study.py")
    assert first == again
    assert "'rate'" in first
    assert len(list((env.cwd / "runs").iterdir())) == 12


def test_the_configuration_of_the_readme_trains_the_digits(environment):
    env = environment("expcore-sklearn")
    text = readme_block("expcore-sklearn", "yaml")
    assert "train_steps: 2000" in text
    (env.cwd / "digits.py").write_text(readme_block("expcore-sklearn", "python"))
    (env.cwd / "digits.yaml").write_text(text.replace("train_steps: 2000", "train_steps: 200"))
    options = ("--output-dir", "runs/digits", "--allow-imports")
    done = told(env.bin / "expcore", "run", "digits.yaml", *options, cwd=env.cwd)
    assert done.startswith("done; step 200: ")
    assert "balanced_accuracy_score" in done


@each
def test_its_own_tests_pass_from_the_wheel_outside_of_the_source(environment, name):
    env = environment(name)
    tests = shutil.copytree(FOLDER / name / "tests", env.cwd / "tests", ignore=LEFTOVERS)
    package = name.replace("-", "_")
    where = env.python("-c", f"import {package}; print({package}.__file__)").strip()
    assert Path(where).is_relative_to(env.bin.parent)
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", env.cwd)
    summary = env.python("-m", "pytest", *options, tests).splitlines()[-1]
    assert "passed" in summary


@each
def test_its_code_is_typed_as_mypy_has_it_strictly(source, environment, name, tmp_path):
    told(
        *(sys.executable, "-m", "mypy", "--python-executable", environment(name).bin / "python"),
        *("--cache-dir", tmp_path, "--config-file", "pyproject.toml"),
        cwd=source / "examples" / "plugins" / name,
    )
