"""The wheels of expcore and of the example distributions, installed and used in a fresh environment."""

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
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from expcore.testing import fake_distribution

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXAMPLES = ("expcore-myexporter", "expcore-quicktrain")
NOT_SOURCE = (".*", "__pycache__", "build", "dist", "*.egg-info", "runs")

LINEAR = '''
"""A linear regression in NumPy, which needs no TensorFlow, trained 200 steps."""
import numpy as np
from expcore import Experiment
from expcore.testing.numpy_estimator import NumpyEstimator

def data():
    x = np.random.default_rng(0).normal(size=(64, 3))
    while True:
        yield x, x @ [1.0, 2.0, 3.0]

def experiment(output_dir):
    return Experiment(NumpyEstimator(output_dir), data, data, train_steps=200, eval_steps=2)
'''


def environ(**changes):
    own = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "TF_CONFIG", "PYTHON"))}
    return {**own, **changes}


def told(*command, cwd, code=0, **changes):
    """Runs a command and returns what it wrote: stdout, stderr."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environ(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def copy_of_the_source(folder):
    """Copies what git tracks, so that nothing left over in the working directory can help the build."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode or not listed.stdout:  # an unpacked archive, or no git
        return Path(shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE)))
    for name in listed.stdout.split("\0"):
        source, target = ROOT / name, folder / name
        if name and (source.is_file() or source.is_symlink()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


class Wheel:
    """A built wheel: its files, metadata and entry points."""

    def __init__(self, path):
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.files = {name: archive.read(name) for name in archive.namelist()}
        (self.info,) = {name.partition("/")[0] for name in self.files if ".dist-info/" in name}
        self.metadata = Parser().parsestr(self.files[f"{self.info}/METADATA"].decode())

    def code(self):
        return {name: content for name, content in self.files.items() if not name.startswith(self.info)}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return copy_of_the_source(tmp_path_factory.mktemp("source") / "expcore")


@pytest.fixture(scope="module")
def wheels(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("wheels")
    folders = {"expcore": source} | {name: source / "examples" / name for name in EXAMPLES}
    told(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--check-build-dependencies", "--wheel-dir", out, *folders.values()),
        cwd=out,
    )
    built = [Wheel(path) for path in sorted(out.iterdir())]
    assert {wheel.metadata["Name"] for wheel in built} == set(folders)
    return {wheel.metadata["Name"]: wheel for wheel in built}


class Environment:
    """A fresh virtual environment with the wheels; the other dependencies are those of the running one."""

    def __init__(self, folder, wheels):
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.bin, self.cwd = folder / "venv" / "bin", folder / "elsewhere"
        self.cwd.mkdir()
        self.pip("install", "--no-deps", "--no-index", *(wheel.path for wheel in wheels.values()))
        (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
        self.site = site
        # A plain path entry: the .pth files in there, such as an editable expcore's finder, are not read.
        outer = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
        (site / "outer.pth").write_text("\n".join(outer) + "\n")

    def pip(self, *args):
        pip = (sys.executable, "-m", "pip", "--python", self.bin / "python", "--quiet")
        return told(*pip, *args, cwd=self.cwd)

    def expcore(self, *args, code=0, **changes):
        return told(self.bin / "expcore", *args, cwd=self.cwd, code=code, **changes)

    def python(self, program, *args):
        stdout, _ = told(self.bin / "python", "-c", program, *args, cwd=self.cwd)
        return json.loads(stdout.splitlines()[-1])

    def plugins(self, **changes):
        """The rows of ``expcore plugins list`` as (name, provider, version, status), by kind."""
        rows = json.loads(self.expcore("plugins", "list", "--format", "json", **changes)[0])
        return {(row["kind"], row["name"], row["provider"]): (row["version"], row["status"]) for row in rows}

    def train(self, *options, **changes):
        """Trains a linear regression by the schedule ``train``; returns the last step, and stderr."""
        (self.cwd / "linear.py").write_text(LINEAR)
        shutil.rmtree(self.cwd / "linear", ignore_errors=True)
        stdout, stderr = self.expcore(
            *("run", "linear.py", "--output-dir", "linear", "--schedule", "train", *options), **changes
        )
        return int(re.search(r"checkpoint \S*?(\d+)(?:\.json)?;", stdout).group(1)), stderr


@pytest.fixture(scope="module")
def env(wheels, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("env"), wheels)


# --- the wheels ---------------------------------------------------------------------------------------


def test_the_wheel_of_expcore_holds_the_tree_and_nothing_else(source, wheels):
    tree = {
        f"{package}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for package, folder in (("expcore", source / "expcore"), ("expcore_plugins", source / "plugins"))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {Path(name).suffix or Path(name).name for name in tree} == {".py", ".typed", ".txt"}
    assert set(wheels["expcore"].code()) == set(tree)
    assert wheels["expcore"].code() == tree


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_wheel_of_an_example_holds_its_one_package(source, wheels, name):
    folder = source / "examples" / name / "src"
    tree = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert wheels[name].code() == tree
    assert len(tree) == 1


def test_the_metadata_have_the_version_the_dependencies_the_licence_and_the_readme(source, wheels):
    wheel, project = wheels["expcore"], PROJECT["project"]
    metadata = wheel.metadata
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert wheel.files[f"{wheel.info}/licenses/LICENSE"] == (source / "LICENSE").read_bytes()
    assert set(metadata["Requires-Python"].split(",")) == set(project["requires-python"].split(","))
    required = {str(Requirement(r)) for r in metadata.get_all("Requires-Dist") if "extra ==" not in r}
    assert required == {str(Requirement(r)) for r in project["dependencies"]}
    assert set(metadata.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    assert metadata.get_payload().strip() == (source / "README.md").read_text().strip()


# --- installed ----------------------------------------------------------------------------------------


def test_what_is_used_is_what_the_wheels_brought_and_not_the_working_directory(env):
    where = env.python(
        "import json, expcore, expcore_plugins, expcore_myexporter, expcore_quicktrain, sys\n"
        "import importlib_metadata as metadata\n"
        "from importlib.metadata import distribution\n"
        "modules = (expcore, expcore_plugins, expcore_myexporter, expcore_quicktrain)\n"
        "print(json.dumps([[m.__file__ for m in modules],\n"
        "    [str(d('expcore').locate_file('')) for d in (metadata.distribution, distribution)],\n"
        "    [n for n in sys.modules if n.startswith('__editable__')]]))"
    )
    files, distributions, editable = where
    assert all(Path(file).is_relative_to(env.site) for file in files), files
    assert {Path(path) for path in distributions} == {env.site}
    assert editable == []


def test_every_entry_point_of_the_three_distributions_can_be_imported(env):
    loaded = env.python(
        "import json, importlib_metadata as metadata\n"
        f"names = ['expcore', *{EXAMPLES!r}]\n"
        "points = [p for name in names for p in metadata.distribution(name).entry_points]\n"
        "print(json.dumps([[p.group, p.name, bool(p.load())] for p in points]))"
    )
    declared = {(g, n) for g, entries in PROJECT["project"]["entry-points"].items() for n in entries}
    declared |= {("console_scripts", "expcore"), ("expcore.exporters", "npz")}
    assert {(group, name) for group, name, _ in loaded} == declared
    assert len(loaded) == len(declared) + 1  # the schedule train is there twice
    assert all(good for _, _, good in loaded)


def test_pip_finds_every_dependency_of_the_three_in_place(env):
    pip = [sys.executable, "-m", "pip", "--python", env.bin / "python", "check"]
    done = subprocess.run(pip, env=environ(), capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout, done.stderr  # what else is installed beside them may well be at odds
    assert [line for line in done.stdout.splitlines() if line.startswith("expcore")] == []


def test_the_version_is_the_wheels(env, wheels):
    assert env.expcore("--version")[0] == f"expcore {wheels['expcore'].metadata['Version']}\n"


def test_plugins_list_shows_the_strangers_with_distribution_and_version(env):
    rows = env.plugins()
    assert rows["exporters", "npz", "expcore-myexporter"] == ("1.2.0", "active")
    assert rows["schedules", "train", "expcore-quicktrain"] == ("0.3.0", "active")
    assert rows["schedules", "train", "expcore"][1] == "shadowed"
    assert rows["schedules", "evaluate", "expcore"][1] == "active"
    table = env.expcore("plugins", "list", "--kind", "exporters")[0]
    assert re.search(
        r"^exporters +npz +expcore-myexporter +1\.2\.0 +active +expcore_myexporter:", table, re.M
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_installed_example_keeps_every_promise_of_its_kind(env, name):
    stdout, _ = env.expcore("conformance", name, "--fail-on", "should")
    assert re.search(rf"^ok .*\({name} .*\): ran \d+ of \d+ clauses", stdout)


# --- a schedule replaced ------------------------------------------------------------------------------

REPLACED = (
    "schedules/train: expcore-quicktrain 0.3.0 replaces the built-in of expcore {}; "
    "--use schedules/train=expcore or the name expcore:train has the built-in"
)


def test_the_installed_schedule_runs_in_place_of_the_built_in_and_one_line_says_so(env):
    step, stderr = env.train()
    assert step == 50
    line = REPLACED.format(PROJECT["project"]["version"])
    assert [each for each in stderr.splitlines() if "replaces" in each] == [
        each for each in stderr.splitlines() if each.endswith(line)
    ]
    assert stderr.count(line) == 1
    record = json.loads((env.cwd / "linear" / "expcore" / "run.json").read_text())
    train = record["plugins"]["components"]["schedules/train"]
    assert (train["dist"], train["version"]) == ("expcore-quicktrain", "0.3.0")
    assert train["replaced"]["dist"] == "expcore"


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (["--use", "schedules/train=expcore"], {}),
        (["--no-plugins"], {}),
        (["-p", "no:expcore-quicktrain"], {}),
        ([], {"EXPCORE_USE": "schedules/train=expcore"}),
        ([], {"EXPCORE_DISABLE": "expcore-quicktrain:schedules/train"}),
        ([], {"EXPCORE_ALLOW": "expcore-myexporter"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else ",".join(value),
)
def test_the_built_in_runs_where_it_is_chosen_or_the_stranger_is_switched_off(env, options, changes):
    step, stderr = env.train(*options, **changes)
    assert step == 200
    assert "replaces the built-in" not in stderr


def test_the_qualified_name_has_the_built_in(env):
    (env.cwd / "linear.py").write_text(LINEAR)
    steps = env.python(
        "import json, linear\n"
        "made = linear.experiment('qualified')\n"
        "found = [made.train().latest_checkpoint(), made.run('expcore:train').latest_checkpoint()]\n"
        "print(json.dumps(found))"
    )
    assert [int(re.search(r"(\d+)\D*$", path).group(1)) for path in steps] == [50, 200]


@pytest.mark.parametrize(
    "changes", [{"EXPCORE_DISABLE": ",".join(EXAMPLES)}, {"EXPCORE_ALLOW": ""}], ids=lambda c: next(iter(c))
)
def test_switched_off_strangers_are_listed_as_blocked_and_the_built_in_is_active(env, changes):
    rows = env.plugins(**changes)
    assert rows["exporters", "npz", "expcore-myexporter"][1] == "blocked"
    assert rows["schedules", "train", "expcore-quicktrain"][1] == "blocked"
    assert rows["schedules", "train", "expcore"][1] == "active"


# --- an exporter added --------------------------------------------------------------------------------


def written(folder):
    """The arrays' shapes of every weights.npz below an exporter's directory, which holds nothing else."""
    import numpy as np

    versions = sorted(folder.iterdir(), key=lambda path: int(path.name))
    assert [path.name for version in versions for path in version.iterdir()] == ["weights.npz"] * len(
        versions
    )
    return [{name: array.shape for name, array in np.load(v / "weights.npz").items()} for v in versions]


@pytest.mark.tf
def test_the_digits_use_the_strangers_exporter_from_a_config_alone_and_under_best(env, source):
    digits = source / "examples" / "digits"
    text = (digits / "experiment.yaml").read_text().partition("export_strategies:")[0]
    for old, new in (
        ("./experiment.py", f"{digits}/experiment.py"),
        ("train_steps: 4000", "train_steps: 60"),
        ("eval_every_n_steps: 200", "eval_every_n_steps: 30"),
    ):
        assert old in text
        text = text.replace(old, new)
    text += "export_strategies: [npz, {type: best, name: best_npz, of: npz, metric: accuracy}]\n"
    (env.cwd / "digits.yaml").write_text(text)
    arguments = ("run", "digits.yaml", "--output-dir", "digits", "--allow-imports")
    stdout, _ = env.expcore(*arguments)
    assert stdout.startswith("done; step 60: ")
    export = env.cwd / "digits" / "export"
    assert sorted(path.name for path in export.iterdir()) == ["best_npz", "latest"]
    assert len(written(export / "latest")) == 2
    for shapes in written(export / "best_npz") + written(export / "latest"):
        assert shapes["sequential/digit/kernel"] == (64, 10)
    _, stderr = env.expcore(*arguments, "--no-plugins", code=64)
    (line,) = [each for each in stderr.splitlines() if each.startswith("expcore: error: ")]
    assert "exporter 'npz': expcore-myexporter 1.2.0 is not among the third parties" in line


@pytest.mark.tf
def test_the_digits_use_the_strangers_exporter_from_python_by_name_and_as_a_class(env, source):
    program = f"""
import json, sys
sys.path.insert(0, {str(source / "examples" / "digits")!r})
import experiment as digits, expcore
from expcore.host import default_host
from expcore_myexporter import NpzWeights
from expcore_plugins.exporters.best import Best
create = default_host().create
whole = digits.experiment("python")
made = expcore.Experiment(
    whole.estimator, whole.train_input_fn, whole.eval_input_fn, train_steps=60, eval_steps=2,
    eval_every_n_steps=30,
    export_strategies=[
        create("exporters", "best", format=create("exporters", "npz"), name="by_name"),
        Best(NpzWeights(), metric="accuracy", name="as_class"),
        NpzWeights(),
    ],
)
made.train()
quick = made.latest_checkpoint().step
result, exported = made.train_and_evaluate()
print(json.dumps([quick, result["global_step"], exported, [e.name for e in made.export_strategies]]))
"""
    quick, step, exported, names = env.python(program)
    assert (quick, step) == (50, 60)
    assert names == ["by_name", "as_class", "latest"]
    assert exported[-1] is not None
    for name in names:
        assert written(env.cwd / "python" / "export" / name)


# --- a broken stranger --------------------------------------------------------------------------------


def test_a_broken_distribution_hurts_only_who_asks_for_it(env):
    info = fake_distribution(
        env.site,
        "ruined-plugins",
        "6.6",
        {
            "expcore.schedules": {"ruin": "ruined_plugins:ruin"},
            "expcore.plugins": {"watch": "ruined_plugins"},
        },
        {"ruined_plugins": "import no_such_library\n"},
    )
    try:
        assert env.expcore("--version")[1] == ""
        rows = env.plugins()
        assert rows["schedules", "ruin", "ruined-plugins"][0] == "6.6"
        step, stderr = env.train()
        assert step == 50
        (line,) = [each for each in stderr.splitlines() if "ruined-plugins" in each]
        for part in ("watch", "6.6", "no_such_library", "EXPCORE_DISABLE"):
            assert part in line
        assert "Traceback" not in stderr
        _, stderr = env.train("-p", "no:ruined-plugins")
        assert "ruined" not in stderr
        _, stderr = env.expcore(*("run", "linear.py", "--output-dir", "ruin", "--schedule", "ruin"), code=70)
        (line,) = [each for each in stderr.splitlines() if each.startswith("expcore: error: ")]
        for part in ("schedule 'ruin'", "ruined-plugins 6.6", "no_such_library"):
            assert part in line
    finally:
        shutil.rmtree(info)
        (env.site / "ruined_plugins.py").unlink()


# --- uninstalled --------------------------------------------------------------------------------------


def test_uninstalling_brings_the_built_in_back(wheels, tmp_path):
    env = Environment(tmp_path, wheels)
    assert env.train()[0] == 50
    env.pip("uninstall", "--yes", *EXAMPLES)
    rows = env.plugins()
    assert {provider for _, _, provider in rows} == {"expcore"}
    assert rows["schedules", "train", "expcore"][1] == "active"
    step, stderr = env.train()
    assert step == 200
    assert "replaces" not in stderr
