"""mypy and pyright accept the right samples of tests/typing, and reject just what is marked in the wrong."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "typing"
PATHS = [str(ROOT), str(ROOT / ".typing")]
KINDS = ("estimators", "schedules", "exporters", "hooks", "predicates", "observers")
CHECKERS = ("mypy", "pyright-strict", "pyright-standard")  # "basic" compares no overrides


def run(*command, env):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **env},
    )
    # 0: nothing found, 1: errors found; anything else, and any lack of output, is a checker that did not run.
    assert done.returncode in (0, 1), f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def mypy(folder):
    """Returns each error that mypy --strict finds in the samples, as (sample, line, message)."""
    options = ["--config-file=", "--strict", "--no-incremental", "--explicit-package-bases"]
    options += ["--ignore-missing-imports", "--output=json"]
    files = sorted(str(path) for path in folder.glob("*/*.py"))
    out = run("mypy", *options, *files, env={"MYPYPATH": os.pathsep.join([str(folder), *PATHS])})
    found = [json.loads(line) for line in out.splitlines()]
    return [
        (str(Path(e["file"]).resolve().relative_to(folder)), e["line"], e["message"])
        for e in found
        if e["severity"] == "error" and Path(e["file"]).resolve().is_relative_to(folder)
    ]


def pyright(folder, mode):
    """Returns each error that pyright finds in the samples, as (sample, line, message)."""
    config = folder / f"{mode}.json"
    config.write_text(json.dumps({"typeCheckingMode": mode, "extraPaths": PATHS}))
    out = run(
        "pyright",
        "--outputjson",
        f"--project={config}",
        f"--pythonpath={sys.executable}",
        env={"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    report = json.loads(out)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.glob("*/*.py"))), report["summary"]
    return [
        (
            str(Path(e["file"]).resolve().relative_to(folder)),
            e["range"]["start"]["line"] + 1,
            e["message"],
        )
        for e in report["generalDiagnostics"]
        if e["severity"] == "error"
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The errors of each checker; each runs once over a copy of all samples, outside the source tree."""
    folder = tmp_path_factory.mktemp("typing").resolve()
    for side in ("right", "wrong"):
        shutil.copytree(SAMPLES / side, folder / side)
    with ThreadPoolExecutor() as pool:
        modes = [checker.partition("-")[2] for checker in CHECKERS]
        runs = [pool.submit(pyright, folder, mode) if mode else pool.submit(mypy, folder) for mode in modes]
        return {checker: done.result() for checker, done in zip(CHECKERS, runs, strict=True)}


def headers(source):
    """Maps the lines from a first decorator to its class or def onto the first: checkers differ in which."""
    firsts = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.decorator_list:
            first = node.decorator_list[0].lineno
            firsts |= dict.fromkeys(range(first, node.lineno + 1), first)
    return firsts


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("name", sorted(path.name for path in (SAMPLES / "right").glob("*.py")))
def test_a_right_sample_has_no_error(found, checker, name):
    assert [error for error in found[checker] if error[0] == f"right/{name}"] == []


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_sample_has_errors_on_just_the_marked_lines(found, checker, kind):
    source = (SAMPLES / "wrong" / f"{kind}.py").read_text()
    firsts = headers(source)
    lines = source.splitlines()
    marked = {firsts.get(n, n) for n, line in enumerate(lines, 1) if line.endswith("# wrong")}
    errors = [error for error in found[checker] if error[0] == f"wrong/{kind}.py"]
    assert {firsts.get(n, n) for _, n, _ in errors} == marked, errors


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_five_right_and_five_wrong_samples_a_kind(kind):
    decorator = {"observers": "@impl."}.get(kind, f"@typed.{kind.removesuffix('s')}\n")
    right = (SAMPLES / "right" / f"{kind}.py").read_text()
    wrong = (SAMPLES / "wrong" / f"{kind}.py").read_text()
    assert right.count(decorator) >= 5
    assert wrong.count("# wrong\n") >= 5


def test_the_sample_of_built_ins_has_each_of_them():
    text = (SAMPLES / "right" / "builtins.py").read_text()
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    groups = {f"expcore.{kind}s": kind for kind in ("estimator", "schedule", "exporter", "predicate")}
    wanted = {
        f"typed.{kind}({target.partition(':')[2]})"
        for g, kind in groups.items()
        for target in points[g].values()
    }
    assert set(re.findall(r"^typed\..*$", text, re.MULTILINE)) == wanted


def test_a_checker_that_does_not_run_is_a_failure():
    with pytest.raises(AssertionError, match="mypy failed"):
        run("mypy", "--no-such-option", env={})
