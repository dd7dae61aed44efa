"""The rules about plugins over real wheels of strangers, built here, installed into a fresh environment."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

_spec = importlib.util.spec_from_file_location("wheels", Path(__file__).with_name("test_wheels.py"))
wheels_ = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheels_)

SCHEDULE = """
def quick(experiment):
    \"\"\"Trains {steps} steps.\"\"\"
    experiment.train_pass(steps={steps})
    return experiment.estimator
"""

STRANGERS = {
    "e2e-rival-a": ("1.0", {"schedules": {"quick": "quick"}}, SCHEDULE.format(steps=20)),
    "E2E_Rival.B": ("2.0", {"schedules": {"quick": "quick"}}, SCHEDULE.format(steps=30)),
    "e2e-override": ("0.3", {"schedules": {"train": "quick"}}, SCHEDULE.format(steps=50)),
    "e2e-broken": (
        "6.6",
        {"schedules": {"ruin": "x"}, "plugins": {"watch": "x"}},
        "import no_such_library\n",
    ),
    "e2e-heavy": (
        "4.0",
        {"schedules": {"heavy": "quick"}},
        "import fake_heavy\n" + SCHEDULE.format(steps=40),
    ),
}
HEAVY = "import os, pathlib\npathlib.Path(os.environ['HEAVY_WAS_HERE']).write_text('imported')\n"


def module_of(name):
    return re.sub(r"[-_.]+", "_", name).lower()


def written(folder, name):
    """Writes the source of a stranger's distribution; returns its folder."""
    version, groups, code = STRANGERS[name]
    module = module_of(name)
    lines = ["[build-system]", 'requires = ["setuptools"]', 'build-backend = "setuptools.build_meta"']
    lines += ["[project]", f'name = "{name}"', f'version = "{version}"', 'dependencies = ["expcore"]']
    for kind, entries in groups.items():
        lines.append(f'[project.entry-points."expcore.{kind}"]')
        lines += [f'{entry} = "{module}:{target}"' for entry, target in entries.items()]
    modules = [module, *(["fake_heavy"] if name == "e2e-heavy" else [])]
    lines += ["[tool.setuptools]", f"py-modules = {modules!r}", 'package-dir = {"" = "src"}']
    source = folder / module / "src"
    source.mkdir(parents=True)
    (source.parent / "pyproject.toml").write_text("\n".join(lines) + "\n")
    (source / f"{module}.py").write_text(code)
    if name == "e2e-heavy":
        (source / "fake_heavy.py").write_text(HEAVY)
    return source.parent


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheels")
    own = wheels_.copy_of_the_source(folder / "expcore")
    wheels_.told(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", out, own, *(written(folder, name) for name in STRANGERS)),
        cwd=out,
    )
    built = [wheels_.Wheel(path) for path in sorted(out.iterdir())]
    assert {wheel.metadata["Name"] for wheel in built} == {"expcore", *STRANGERS}
    return {wheel.metadata["Name"]: wheel for wheel in built}


class Environment(wheels_.Environment):
    """As that of the other wheels, with a project file in the working directory."""

    def project(self, text):
        (self.cwd / "pyproject.toml").write_text(text)

    def schedule(self, name, *options, code=0, **changes):
        """Runs a schedule; returns its steps, None where it failed, and what it wrote to stderr."""
        (self.cwd / "linear.py").write_text(wheels_.LINEAR)
        shutil.rmtree(self.cwd / "linear", ignore_errors=True)
        arguments = ("run", "linear.py", "--output-dir", "linear", "--schedule", name, *options)
        stdout, stderr = self.expcore(*arguments, code=code, **changes)
        assert "Traceback" not in stderr
        found = re.search(r"checkpoint \S*?(\d+)(?:\.json)?;", stdout)
        assert bool(found) == (code == 0)
        return (int(found[1]) if found else None), stderr


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("env"), wheels)


@pytest.fixture
def env(environment):
    environment.project("")
    return environment


def error(stderr):
    (line,) = [each for each in stderr.splitlines() if each.startswith("expcore: error: ")]
    return line.removeprefix("expcore: error: ")


# --- a conflict -----------------------------------------------------------------------------------------


def test_a_conflict_is_one_error_with_both_rivals_and_three_ways_out(env):
    _, stderr = env.schedule("quick", code=64)
    assert error(stderr) == (
        "schedule 'quick': 2 plugins provide it: e2e-rival-a 1.0 (e2e_rival_a:quick), "
        "e2e-rival-b 2.0 (e2e_rival_b:quick); choose one with --use schedules/quick=e2e-rival-a "
        "(or EXPCORE_USE), switch one off with EXPCORE_DISABLE=e2e-rival-b:schedules/quick, or pip uninstall "
        "e2e-rival-b"
    )
    assert env.plugins()["schedules", "quick", "e2e-rival-a"] == ("1.0", "conflict")


@pytest.mark.parametrize(
    ("options", "changes", "table", "steps"),
    [
        (["--use", "schedules/quick=e2e-rival-a"], {}, "", 20),
        (["-p", "no:e2e-rival-a"], {}, "", 30),
        ([], {"EXPCORE_USE": "schedules/quick=E2E.rival_b"}, "", 30),
        ([], {"EXPCORE_DISABLE": "e2e-rival-b:schedules/quick"}, "", 20),
        ([], {}, "use = {'schedules/quick' = 'e2e-rival-a'}", 20),
        ([], {}, "disable = ['e2e-rival-a']", 30),
        ([], {}, "allow = ['e2e-rival-a']", 20),
        ([], {"EXPCORE_USE": "schedules/quick=e2e-rival-b"}, "use = ['schedules/quick=e2e-rival-a']", 30),
        (
            ["--use", "schedules/quick=e2e-rival-a"],
            {"EXPCORE_USE": "schedules/quick=e2e-rival-b"},
            "use = ['schedules/quick=e2e-rival-b']",
            20,
        ),
    ],
)
def test_every_way_out_of_a_conflict_leads_out_and_the_command_line_beats_the_environment_beats_the_project(
    options, changes, table, steps, env
):
    env.project(f"[tool.expcore]\n{table}\n")
    assert env.schedule("quick", *options, **changes)[0] == steps


# --- a built-in replaced --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "table", "steps"),
    [
        ([], "", 50),
        ([], "use = ['schedules/train=expcore']", 200),
        ([], "allow = []", 200),
        (["--no-plugins"], "allow = ['e2e-override']", 200),
        (["-p", "no:schedules/quick"], "disable = ['e2e-override:schedules/train']", 200),
    ],
)
def test_a_built_in_is_replaced_until_it_is_chosen_or_the_stranger_is_off(options, table, steps, env):
    env.project(f"[tool.expcore]\n{table}\n")
    made, stderr = env.schedule("train", *options)
    assert made == steps
    assert ("replaces the built-in" in stderr) == (steps == 50)
    kept = json.loads((env.cwd / "linear" / "expcore" / "run.json").read_text())["plugins"]
    assert kept["settings"]["path"] == str(env.cwd / "pyproject.toml")
    assert set(kept["settings"]["content"]) == ({table.partition(" ")[0]} - {""})


# --- require --------------------------------------------------------------------------------------------


def test_a_run_does_not_start_without_what_the_project_requires_and_meta_commands_work(env):
    env.project("[tool.expcore]\nrequire = ['e2e-override>=0.4', 'e2e-nowhere', 'e2e.rival.b>=2']\n")
    _, stderr = env.schedule("train", code=64)
    assert error(stderr) == (
        f"{env.cwd}/pyproject.toml, [tool.expcore]: require: e2e-override>=0.4 is required, "
        "0.3 is installed; e2e-nowhere is required, it is not installed; "
        "pip install 'e2e-override>=0.4' 'e2e-nowhere'"
    )
    assert env.plugins()["schedules", "train", "e2e-override"] == ("0.3", "active")
    env.project("[tool.expcore]\nrequire = ['e2e-override>=0.3', 'E2E-Rival-B']\n")
    assert env.schedule("train")[0] == 50


# --- broken and heavy strangers, a broken project file --------------------------------------------------


def test_a_broken_stranger_is_one_line_and_an_error_where_strict(env):
    for command in (["--version"], ["--help"], ["plugins", "list"]):
        assert "no_such_library" not in env.expcore(*command)[1]
    _, stderr = env.schedule("train")
    (line,) = [each for each in stderr.splitlines() if "no_such_library" in each]
    assert "plugins/watch (e2e-broken 6.6): import failed: ModuleNotFoundError" in line
    assert line.endswith("or skip it with EXPCORE_DISABLE=e2e-broken:plugins/watch; it is skipped")
    env.project("[tool.expcore]\nstrict = true\n")
    _, stderr = env.schedule("train", code=70)
    assert "no_such_library" in error(stderr)
    here = {"HEAVY_WAS_HERE": str(env.cwd / "heavy")}  # strict imports every third party
    assert env.schedule("train", "-p", "no:e2e-broken", **here)[0] == 50
    assert env.schedule("train", EXPCORE_STRICT_PLUGINS="0")[0] == 50


def test_what_imports_a_heavy_library_at_registration_is_imported_when_it_is_used_and_not_before(env):
    marker = env.cwd / "heavy-was-here"
    changes = {"HEAVY_WAS_HERE": str(marker)}
    for command in (["--version"], ["--help"], ["plugins", "list"]):
        env.expcore(*command, **changes)
    assert env.schedule("train", **changes)[0] == 50
    assert not marker.exists()
    assert env.schedule("heavy", **changes)[0] == 40
    assert marker.exists()


def test_a_project_file_that_is_no_toml_is_one_line(env):
    env.project("[tool\n")
    (env.cwd / "linear.py").write_text("raise SystemExit('was read')\n")
    for command in (["plugins", "list"], ["run", "linear.py", "--output-dir", "linear"]):
        _, stderr = env.expcore(*command, code=64)
        (line,) = stderr.splitlines()
        assert line.startswith(f"expcore: error: {env.cwd}/pyproject.toml: it is no TOML (")
    for command in ("--version", "--help"):
        assert env.expcore(command)[1] == ""


# --- an editable installation ---------------------------------------------------------------------------


def test_an_editable_installation_is_a_distribution_like_any_other(wheels, tmp_path):
    env = Environment(tmp_path, {"expcore": wheels["expcore"]})
    source = written(tmp_path, "e2e-override")
    env.pip("install", "--no-deps", "--no-build-isolation", "--editable", source)
    assert env.plugins()["schedules", "train", "e2e-override"] == ("0.3", "active")
    assert env.schedule("train")[0] == 50
    module = source / "src" / "e2e_override.py"
    module.write_text(module.read_text().replace("steps=50", "steps=70"))
    assert env.schedule("train")[0] == 70
    assert env.schedule("train", "-p", "no:e2e-override")[0] == 200
    env.pip("uninstall", "--yes", "e2e-override")
    assert env.schedule("train")[0] == 200
