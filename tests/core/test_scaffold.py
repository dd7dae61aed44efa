"""The scaffold: names, what is written, and that nothing is ever overwritten or left half."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from expcore.cli import main
from expcore.conformance import KINDS as CONFORMANCE_KINDS
from expcore.errors import CannotWrite, InvalidArgument
from expcore.host.discovery import discover
from expcore.scaffold import KINDS, Project, project, write


def command(*args):
    done = CliRunner().invoke(main, ["plugins", "new", *args])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done


def files_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_there_is_a_template_for_each_kind_of_conformance():
    assert set(KINDS) == set(CONFORMANCE_KINDS)
    assert {f"expcore.{end}" for end in KINDS.values()} == {
        "expcore.plugins",
        *(f"expcore.{plural}" for kind, plural in CONFORMANCE_KINDS.items() if kind != "observer"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_whole_and_the_entry_point_names_what_is_there(kind, tmp_path):
    folder = write(Project("expcore-my-thing", kind), tmp_path)
    assert folder == tmp_path / "expcore-my-thing"
    files = files_of(folder)
    assert set(files) == {
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/expcore_my_thing/__init__.py",
        "src/expcore_my_thing/py.typed",
        "tests/test_behaviour.py",
        "tests/test_conformance.py",
    }
    declared = tomllib.loads(files["pyproject.toml"])["project"]
    assert declared["name"] == "expcore-my-thing"
    assert declared["dependencies"] == ["expcore>=0.1,<0.2"]
    ((group, entries),) = declared["entry-points"].items()
    ((name, value),) = entries.items()
    assert (group, name) == (f"expcore.{KINDS[kind]}", "my_thing")
    module, _, target = value.partition(":")
    assert module == "expcore_my_thing"
    body = ast.parse(files["src/expcore_my_thing/__init__.py"]).body
    assert target in {n.name for n in body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    for text in files.values():
        assert "$" not in text.replace("$ ", "").replace("${{ matrix.python }}", "")


@pytest.mark.parametrize("kind", KINDS)
def test_the_conformance_test_is_one_line(kind, tmp_path):
    text = files_of(write(Project("expcore-mine", kind), tmp_path))["tests/test_conformance.py"]
    (function,) = (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef))
    assert ast.unparse(function.body[0]).startswith("check(")
    assert len(function.body) == 1


def test_the_component_may_have_another_name(tmp_path):
    files = files_of(write(Project("expcore-mine", "hook", "my_other"), tmp_path))
    assert 'my_other = "expcore_mine:MyOther"' in files["pyproject.toml"]
    assert "class MyOther(" in files["src/expcore_mine/__init__.py"]


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        ("exporter", "path", "ExporterPath"),
        ("hook", "run", "HookRun"),
        ("schedule", "experiment", "run_experiment"),
        ("predicate", "metrics", "PredicateMetrics"),
        ("estimator", "model", "EstimatorModel"),
        ("schedule", "print", "run_print"),
        ("schedule", "check", "run_check"),
        ("schedule", "tests", "run_tests"),
        ("observer", "test_watch", "ObserverTestWatch"),
        ("exporter", "mine", "Mine"),
    ],
)
def test_a_name_that_the_code_uses_itself_is_avoided(kind, name, target):
    assert Project("expcore-mine", kind, name).target == target


@pytest.mark.parametrize(
    ("dist", "kind", "name", "message"),
    [
        ("expcore-mine", "exprter", "", "did you mean 'exporter'"),
        ("expcore mine", "hook", "", "letters, digits"),
        ("../evil", "hook", "", "letters, digits"),
        ("", "hook", "", "letters, digits"),
        ("-mine", "hook", "", "letters, digits"),
        ("3things", "hook", "", "cannot be a Python package"),
        ("class", "hook", "", "cannot be a Python package"),
        ("json", "hook", "", "would hide another"),
        ("pluggy", "hook", "", "would hide another"),
        ("expcore", "hook", "ours", "would hide another"),
        ("expcore-plugins", "exporter", "", "would hide another"),
        ("expcore-mine", "hook", "My-Thing", "lower-case"),
        ("expcore-mine", "hook", "class", "no keyword"),
        ("expcore-3d", "hook", "", "give one with --name"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(dist, kind, name, message, tmp_path):
    with pytest.raises(InvalidArgument, match=message):
        write(Project(dist, kind, name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_touched(tmp_path):
    (tmp_path / "expcore-mine").mkdir()
    (tmp_path / "expcore-mine" / "kept.txt").write_text("mine")
    with pytest.raises(CannotWrite, match="exists already, and is left as it is"):
        write(Project("expcore-mine", "hook"), tmp_path)
    assert files_of(tmp_path) == {"expcore-mine/kept.txt": "mine"}
    with pytest.raises(CannotWrite, match="is not a folder"):
        write(Project("expcore-mine", "hook"), tmp_path / "nowhere")


def test_all_is_written_or_nothing(tmp_path, monkeypatch):
    def breaks(_project):
        yield "README.md", "text"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(project, "rendered", breaks)
    with pytest.raises(CannotWrite, match="No space left"):
        write(Project("expcore-mine", "hook"), tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- the command --------------------------------------------------------------------------------------


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path):
    done = command("expcore-mine", "--kind", "exporter", "--directory", str(tmp_path))
    assert done.exit_code == 0
    folder = tmp_path / "expcore-mine"
    assert done.stdout == f"{folder} is written: the exporter 'mine'; next: pytest {folder}\n"
    assert done.stderr == ""


def test_the_command_does_not_mind_a_broken_pyproject_above(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("this is no TOML")
    monkeypatch.chdir(tmp_path)
    done = command("expcore-mine", "--kind", "hook")
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_command_notes_names_that_surprise(tmp_path):
    where = ("--directory", str(tmp_path))
    done = command("my-hooks", "--kind", "hook", "--name", "logging", *where)
    assert done.exit_code == 0
    assert "usually called expcore-" in done.stderr
    assert "hook 'logging' exists already, in expcore" in done.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["expcore-mine", "--kind", "exprter"], 64),
        (["expcore-mine"], 64),
        (["expcore mine", "--kind", "hook"], 64),
        (["expcore-mine", "--kind", "hook", "--directory", "nowhere"], 73),
    ],
)
def test_a_mistake_is_one_line_and_its_exit_code(args, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(*args).exit_code == code
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_no_plugin_before_it_is_installed(tmp_path):
    write(Project("expcore-mine", "hook"), tmp_path)
    assert "expcore-mine" not in {entry.dist.name for entry in discover()}
    assert Path(tmp_path, "expcore-mine", "pyproject.toml").exists()
