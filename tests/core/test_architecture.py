"""The house: what imports what, what is installed, and that the files that name facts agree."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
POINTS = {
    group: entries
    for group, entries in PROJECT["project"]["entry-points"].items()
    if group not in ("pytest11", "expcore.conformance")
}
"""The entry points of components."""

PACKAGES = {"expcore": ROOT / "expcore", "expcore_plugins": ROOT / "plugins"}
HEAVY = ("tensorflow", "keras", "tf_keras", "sklearn", "matplotlib", "pandas")
SHIPPED = ("expcore", "plugins", "examples")

IMPORT_EACH = """
import importlib, json, sys
found = {}
before = set()
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    tops = {module.partition(".")[0] for module in sys.modules}
    found[name] = sorted(tops - before)
    before |= tops
print(json.dumps(found))
"""
"""Imports modules one after the other and tells which top-level packages each brought along."""

LOAD_EACH = """
import json, sys
import importlib_metadata
loaded = {}
for point in importlib_metadata.distribution("expcore").entry_points:
    if point.group.startswith("expcore."):
        loaded[f"{point.group} {point.name}"] = type(point.load()).__name__
print(json.dumps([loaded, sorted({module.partition(".")[0] for module in sys.modules})]))
"""


def python_files(*folders):
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    own = [path for path in files if "build" not in path.relative_to(ROOT).parts]
    assert len(own) > 3, folders
    return own


def modules(package):
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join([package, *(part for part in parts if part != "__init__")])


def in_new_process(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- what imports what --------------------------------------------------------------------------------


def test_importing_every_module_of_the_core_brings_neither_tensorflow_nor_a_plugin():
    brought = in_new_process(IMPORT_EACH, json.dumps(list(modules("expcore"))))
    assert len(brought) > 30
    guilty = {name: set(tops) & {*HEAVY, "expcore_plugins"} for name, tops in brought.items()}
    assert {name: tops for name, tops in guilty.items() if tops} == {}


def test_importing_every_module_of_the_plugins_brings_no_tensorflow():
    brought = in_new_process(IMPORT_EACH, json.dumps(list(modules("expcore_plugins"))))
    assert len(brought) > 40
    guilty = {name: set(tops) & set(HEAVY) for name, tops in brought.items()}
    assert {name: tops for name, tops in guilty.items() if tops} == {}


def test_every_built_in_entry_point_loads_without_tensorflow():
    loaded, tops = in_new_process(LOAD_EACH)
    declared = {
        f"{group} {name}"
        for group, entries in PROJECT["project"]["entry-points"].items()
        if group.startswith("expcore.")
        for name in entries
    }
    assert set(loaded) == declared, "the installed entry points are not pyproject's; install again"
    assert set(tops) & set(HEAVY) == set()


def test_the_core_names_no_plugin_module_even_inside_functions():
    for path in python_files("expcore"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {name.partition(".")[0] for name in names}
            assert not tops & {"expcore_plugins", "tensorflow", "keras"}, (path, node.lineno)


def test_what_is_imported_from_elsewhere_comes_with_a_dependency():
    from importlib.metadata import packages_distributions

    from packaging.requirements import Requirement

    required = {Requirement(r).name.lower() for r in PROJECT["project"]["dependencies"]}
    required |= {"numpy", "keras"}  # tensorflow's own
    required |= {"pytest"}  # whoever uses the doors for pytest has it
    provided = packages_distributions()
    for path in python_files("expcore", "plugins"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in (
                {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {*PACKAGES}
            ):
                by = {name.lower().replace("_", "-") for name in provided.get(top, [top])}
                assert by & required, f"{path}:{node.lineno}: {top} is of {by}, which is no dependency"


# --- what is installed --------------------------------------------------------------------------------


def test_every_folder_with_code_is_a_package_that_pyproject_lists():
    found = {
        ".".join([package, *path.parent.relative_to(folder).parts])
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found
    for package, folder in PACKAGES.items():
        inits = {path.parent for path in folder.rglob("__init__.py")}
        assert {path.parent for path in folder.rglob("*.py")} == inits, package


def test_every_package_says_that_it_is_typed_and_its_wheel_carries_that():
    for package, folder in PACKAGES.items():
        assert (folder / "py.typed").exists()
        assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]


def test_every_built_in_is_in_the_module_of_its_name():
    for group, entries in POINTS.items():
        kind = group.removeprefix("expcore.")
        folder = "observers" if kind == "plugins" else kind
        for name, value in entries.items():
            assert value.partition(":")[0] == f"expcore_plugins.{folder}.{name}"


def test_every_sample_is_of_a_built_in_and_in_the_module_of_its_kind():
    built_ins = {
        f"{group.removeprefix('expcore.')}.{name}" for group, entries in POINTS.items() for name in entries
    }
    for label, value in PROJECT["project"]["entry-points"]["expcore.conformance"].items():
        assert label in built_ins
        kind, _, name = label.partition(".")
        assert value == f"expcore_plugins.samples.{kind}:{name}"


# --- what is written ----------------------------------------------------------------------------------


def test_every_file_says_in_its_first_line_what_lives_in_it():
    for path in python_files(*SHIPPED, "tests"):
        first = path.read_text().partition("\n")[0]
        assert re.match(r'"""\S.*', first), f"{path.relative_to(ROOT)}: {first!r} is no docstring"


def test_no_file_is_longer_than_400_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files(*SHIPPED)
    }
    assert {path: lines for path, lines in lengths.items() if lines > 400} == {}


def test_the_changelog_begins_with_the_version_that_is_installed():
    import importlib_metadata

    version = PROJECT["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == version == importlib_metadata.version("expcore")


def test_the_changelog_names_every_built_in_of_the_first_release():
    text = (ROOT / "CHANGELOG.md").read_text()
    for group, entries in POINTS.items():
        if group in ("expcore.estimators", "expcore.plugins"):
            continue
        assert {name for name in entries if f"`{name}`" not in text} == set(), group


def test_readme_classifiers_and_the_make_script_agree_on_the_python_versions():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"]).groups()
    last = int(high) - 1
    assert f"Python 3.{low} to 3.{last}" in (ROOT / "README.md").read_text()
    assert f"(3, {low}) <= sys.version_info[:2] <= (3, {last})" in (ROOT / "tools/make_venv.sh").read_text()
    classified = {
        int(c.rpartition(".")[2])
        for c in PROJECT["project"]["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", c)
    }
    assert classified == set(range(int(low), last + 1))


def test_every_make_target_that_the_documents_name_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / document).read_text(), re.MULTILINE))
        assert named, document
        assert named <= targets, document


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_link_of_a_document_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / document).read_text())
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", ["expcore-myexporter", "expcore-quicktrain"])
def test_an_example_distribution_allows_this_version(name):
    from packaging.requirements import Requirement

    example = tomllib.loads((ROOT / "examples" / name / "pyproject.toml").read_text())["project"]
    (requirement,) = (Requirement(r) for r in example["dependencies"])
    assert requirement.name == "expcore"
    assert requirement.specifier.contains(PROJECT["project"]["version"])
