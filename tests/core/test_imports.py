"""References to code in a config."""

from __future__ import annotations

import sys

import pytest

from expcore.config.imports import Imports, anchored, is_reference
from expcore.errors import ConfigError


@pytest.fixture(autouse=True)
def same_path_and_modules(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("_expcore_config_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "text", ["os:getcwd", "os.path:join", "a:b.c", "./e.py:fn", "../x/e.py:f.g", "/a b/e.py:f"]
)
def test_module_or_file_with_an_attribute_is_a_reference(text):
    assert is_reference(text)


@pytest.mark.parametrize(
    "text", ["", "os", "os:", ":x", "os:1x", "os path:x", "./e:fn", "./e.txt:fn", "resnet50", "a:b:c"]
)
def test_anything_else_is_none(text):
    assert not is_reference(text)
    with pytest.raises(ConfigError, match=r"^here: .* is not of the form package\.module:attribute"):
        Imports(True).check(text, "here")


def test_without_permission_nothing_is_imported_and_the_error_says_how_to_permit(tmp_path):
    (tmp_path / "e.py").write_text("raise SystemExit('executed')")
    with pytest.raises(ConfigError, match=r"^train_input_fn: .*allow_imports=True \(--allow-imports\)"):
        Imports(False).load(f"{tmp_path}/e.py:fn", "train_input_fn")
    with pytest.raises(ConfigError, match="allow_imports"):
        Imports(False).check("os:getcwd", "x")


def test_a_check_imports_nothing(tmp_path):
    (tmp_path / "e.py").write_text("raise SystemExit('executed')")
    Imports(True).check(f"{tmp_path}/e.py:fn", "x")


def test_attributes_of_modules_are_found_also_nested():
    import os

    assert Imports(True).load("os.path:join", "x") is os.path.join
    assert Imports(True).load("collections:OrderedDict.fromkeys", "x").__name__ == "fromkeys"


def test_a_file_is_executed_once_for_all_its_references(tmp_path):
    (tmp_path / "e.py").write_text("runs = []\nruns.append(1)\ndef a(): return runs\ndef b(): return runs\n")
    imports = Imports(True)
    a, b = (imports.load(f"{tmp_path}/e.py:{name}", "x") for name in "ab")
    assert a() is b()
    assert a() == [1]


def test_a_file_can_import_its_neighbours_and_define_dataclasses(tmp_path):
    (tmp_path / "neighbour_of_config.py").write_text("VALUE = 3\n")
    (tmp_path / "e.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport neighbour_of_config\n"
        "@dataclass\nclass Thing:\n    x: int = neighbour_of_config.VALUE\n"
    )
    assert Imports(True).load(f"{tmp_path}/e.py:Thing", "x")().x == 3


def test_a_file_named_like_a_library_does_not_stand_in_for_it(tmp_path):
    (tmp_path / "json.py").write_text("def fn(): return 'mine'\n")
    assert Imports(True).load(f"{tmp_path}/json.py:fn", "x")() == "mine"
    import json

    assert json.loads("1") == 1


@pytest.mark.parametrize(
    ("reference", "cause"),
    [
        ("no_such_module_anywhere:fn", "ModuleNotFoundError"),
        ("os:getcwdd", "did you mean 'getcwd'"),
        ("os:path.joint", "did you mean 'join'"),
        ("{folder}/none.py:fn", "FileNotFoundError"),
        ("{folder}/bad.py:fn", "SyntaxError"),
        ("{folder}/fails.py:fn", "RuntimeError: at import"),
        ("{folder}/fails.py:other", "RuntimeError: at import"),
    ],
)
def test_a_failed_import_is_a_config_error_with_path_reference_and_cause(tmp_path, reference, cause):
    (tmp_path / "bad.py").write_text("def\n")
    (tmp_path / "fails.py").write_text("raise RuntimeError('at import')")
    text = reference.format(folder=tmp_path)
    with pytest.raises(ConfigError) as raised:
        Imports(True).load(text, "eval_input_fn.train")
    assert str(raised.value).startswith(f"eval_input_fn.train: {text!r}")
    assert cause in str(raised.value)


def test_a_file_that_failed_leaves_no_module_behind(tmp_path):
    (tmp_path / "fails.py").write_text("raise RuntimeError('at import')")
    with pytest.raises(ConfigError):
        Imports(True).load(f"{tmp_path}/fails.py:fn", "x")
    assert not [name for name in sys.modules if name.startswith("_expcore_config_fails")]


def test_relative_files_are_anchored_and_everything_else_is_left_alone():
    assert anchored("./e.py:fn", "/configs") == "/configs/e.py:fn"
    assert anchored("e.py:fn", "/configs") == "/configs/e.py:fn"
    assert anchored("../e.py:fn.g", "/configs/a") == "/configs/e.py:fn.g"
    assert anchored("/other/e.py:fn", "/configs") == "/other/e.py:fn"
    for text in ("package.module:fn", "resnet50", ""):
        assert anchored(text, "/configs") == text
