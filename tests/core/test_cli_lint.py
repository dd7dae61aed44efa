"""``expcore plugins check``: each mistake is found by its id; what is right or not told is left alone."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from expcore.cli import main
from expcore.cli.findings import RULES
from expcore.cli.installed import find_installed
from expcore.cli.lint import lint
from expcore.testing import fake_distribution

ROOT = Path(__file__).resolve().parents[2]
REQUIRES = "Requires-Dist: expcore>=0.1,<0.2\n"
HOOKIMPL = "from expcore import hookimpl\n@hookimpl\n"


@pytest.fixture(autouse=True)
def as_before():
    environ, path = dict(os.environ), list(sys.path)
    for name in [n for n in os.environ if n.startswith("EXPCORE_")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path


@pytest.fixture
def check(tmp_path):
    """Lints a distribution of one entry and gives the findings as (id, what)."""
    sys.path.insert(0, str(tmp_path))

    def checked(
        kind, source, *, name="thing", target="linted:X", requires=REQUIRES, dist="expcore-linted", modules=()
    ):
        entries = {f"expcore.{kind}": {name: target}}
        written = {"linted": "raise AssertionError('was run')\n" + source, **dict(modules)}
        info = fake_distribution(tmp_path, dist, "1", entries, written)
        with (info / "METADATA").open("a") as file:
            file.write(requires)
        return lint(find_installed(dist))

    return checked


def ids(findings):
    return [finding.id for finding in findings]


# --- what is right ------------------------------------------------------------------------------------

RIGHT = {
    "a format": (
        "exporters",
        "class X:\n"
        "    def __init__(self, size=1): pass\n"
        "    def write(self, estimator, directory, checkpoint_path=None): pass\n",
    ),
    "an exporter": (
        "exporters",
        "class X:\n"
        "    def __init__(self, name='x'):\n"
        "        self.name = name\n"
        "    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None,\n"
        "               is_the_final_export=False): pass\n",
    ),
    "a policy": (
        "exporters",
        "from expcore.publish import Policy\n"
        "class X(Policy):\n"
        "    def wants(self, eval_result, history, final): return True\n",
    ),
    "a dataclass": (
        "exporters",
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class X:\n"
        "    size: int = 1\n"
        "    def write(self, estimator, directory, checkpoint_path=None): pass\n",
    ),
    "a schedule": ("schedules", "def X(experiment, *, steps=1): pass\n"),
    "a schedule of one": ("schedules", "def X(experiment, /): pass\n"),
    "a hook": (
        "hooks",
        "class X:\n"
        "    def next_step(self, step): pass\n"
        "    def after_steps(self, run): pass\n"
        "    def get_state(self): pass\n",
    ),
    "a callback": (
        "hooks",
        "from fake_callbacks import Callback\n"
        "class X(Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None): pass\n",
    ),
    "a class predicate": (
        "predicates",
        "class X:\n    def __call__(self, eval_result, *, history=None): pass\n",
    ),
    "a closure": (
        "predicates",
        "def X(limit):\n    def check(eval_result, checkpoint_path=None): return True\n    return check\n",
    ),
    "parts": (
        "predicates",
        "class X:\n    def __init__(self, *of): pass\n    def __call__(self, eval_result): pass\n",
    ),
    "an estimator": (
        "estimators",
        "class X:\n"
        "    def __init__(self, model_dir): self.model_dir = model_dir\n"
        "    def train(self, input_fn): pass\n"
        "    def evaluate(self, input_fn): pass\n"
        "    def latest_checkpoint(self): pass\n",
    ),
    "a base elsewhere": ("hooks", "from .unknown import Base\nclass X(Base): pass\n"),
    "a made class": ("hooks", "X = type('X', (), {})\n"),
    "a changed class": ("hooks", "import functools\n@functools.singledispatch\nclass X: pass\n"),
    "a factory that is not told": ("exporters", "def X(size=1):\n    if size: return A()\n    return B()\n"),
    "a partial": ("schedules", "import functools\nX = functools.partial(print, 1)\n"),
    "an attribute given at run time": ("hooks", "def __getattr__(name): pass\n"),
    "an observer": ("plugins", HOOKIMPL + "def expcore_after_train(experiment, end): pass\n"),
    "a class observer": (
        "plugins",
        "from expcore import hookimpl\n"
        "class X:\n"
        "    @hookimpl(tryfirst=True)\n"
        "    def expcore_failed(self, error): pass\n",
    ),
    "a typed observer": (
        "plugins",
        "from expcore import impl\n@impl.expcore_failed\ndef expcore_failed(error): pass\n",
    ),
    "pluggy's own marker": (
        "plugins",
        "import pluggy\nmark = pluggy.HookimplMarker('expcore')\n@mark\ndef expcore_failed(error): pass\n",
    ),
    "an optional hook": (
        "plugins",
        "from expcore import hookimpl\n"
        "@hookimpl\n"
        "def expcore_failed(error): pass\n"
        "@hookimpl(optionalhook=True)\n"
        "def expcore_later(x): pass\n",
    ),
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_right_or_cannot_be_told_is_left_alone(check, what):
    kind, source = RIGHT[what]
    target = "linted" if kind == "plugins" and "class X" not in source else "linted:X"
    modules = {"fake_callbacks": "class Callback: pass\n"}
    assert check(kind, source, target=target, modules=modules) == []


def test_the_built_ins_pass_the_same_check():
    assert lint(find_installed("expcore")) == []


# --- each mistake -------------------------------------------------------------------------------------

WRONG = {
    "LNT-030": ("hooks", "class X:\n    def __init__(self, a, /): pass\n    def begin(self, run): pass\n"),
    "LNT-031": ("hooks", "class X:\n    def __init__(self, a, *b): pass\n    def begin(self, run): pass\n"),
    "LNT-032": ("schedules", "def X(*, steps=1): pass\n"),
    "LNT-033": ("schedules", "def X(exp, steps=1): pass\n"),
    "LNT-034": ("schedules", "def X(experiment, steps=1, /): pass\n"),
    "LNT-035": ("exporters", "class X:\n    def save(self): pass\n"),
    "LNT-036": (
        "exporters",
        "class X:\n    def write(self, estimator, checkpoint_path): pass\n    def more(self): pass\n".replace(
            "estimator, ", "estimator, *, "
        ),
    ),
    "LNT-037": (
        "exporters",
        "class X:\n    name = 'x'\n    def export(self, estimator, path, checkpoint_path, extra): pass\n",
    ),
    "LNT-038": (
        "exporters",
        "class X:\n    def export(self, estimator, export_path, checkpoint_path=None): pass\n",
    ),
    "LNT-039": ("hooks", "class X:\n    def unrelated(self): pass\n"),
    "LNT-040": ("hooks", "class X:\n    def after_save(self, run): pass\n"),
    "LNT-041": ("hooks", "class X:\n    def begin(self, run): pass\n    def after_step(self, run): pass\n"),
    "LNT-042": ("predicates", "class X:\n    def __call__(self): pass\n"),
    "LNT-043": (
        "estimators",
        "class X:\n    model_dir = 'x'\n    def train(self): pass\n    def evaluate(self): pass\n",
    ),
    "LNT-044": ("exporters", "class X:\n    def write(self, estimator, directory): pass\n"),
    "LNT-006": ("hooks", "X = 3\n"),
    "LNT-045": ("schedules", "async def X(experiment): pass\n"),
    "LNT-046": ("exporters", "class X:\n    write = 3\n"),
    "LNT-047": ("schedules", "def X(experiment, rounds): pass\n"),
    "LNT-057": ("plugins", HOOKIMPL + "async def expcore_after_evaluate(): pass\n"),
    "LNT-050": ("plugins", HOOKIMPL + "def expcore_after_trian(): pass\n"),
    "LNT-051": ("plugins", HOOKIMPL + "def expcore_failed(eror): pass\n"),
    "LNT-052": ("plugins", HOOKIMPL + "def expcore_failed(error=None): pass\n"),
    "LNT-053": ("plugins", HOOKIMPL + "def expcore_failed(error): pass\ndef expcore_after_train(): pass\n"),
    "LNT-054": ("plugins", "def helper(): pass\n"),
    "LNT-055": (
        "plugins",
        HOOKIMPL.replace("@hookimpl", "@hookimpl(wrapper=True)") + "def expcore_failed(error): yield\n",
    ),
    "LNT-056": (
        "plugins",
        "from expcore import hookimpl\n"
        "class X:\n"
        "    def __init__(self, place): pass\n"
        "    @hookimpl\n"
        "    def expcore_failed(self): pass\n",
    ),
}


@pytest.mark.parametrize("rule", WRONG)
def test_a_component_that_does_not_fit_its_kind_is_found(check, rule):
    kind, source = WRONG[rule]
    target = "linted" if kind == "plugins" and "class X" not in source else "linted:X"
    found = check(kind, source, target=target)
    assert ids(found) == [rule], found
    assert re.fullmatch(r".*/linted\.py(:\d+)?", found[0].where)
    assert found[0].entry == f"{kind}/thing"


NEVER_EXECUTED = {
    "a schedule with yield": ("schedules", "def X(experiment):\n    if experiment: yield 1\n"),
    "a schedule with yield from": ("schedules", "def X(experiment):\n    yield from experiment\n"),
    "a factory": ("hooks", "async def X():\n    pass\n"),
    "a format": (
        "exporters",
        "class X:\n    async def write(self, estimator, directory, checkpoint_path=None): pass\n",
    ),
    "an exporter": (
        "exporters",
        "class X:\n    name = 'x'\n"
        "    def export(self, estimator, export_path, checkpoint_path=None): yield\n",
    ),
    "a hook": ("hooks", "class X:\n    async def after_steps(self, run): pass\n"),
    "a predicate": ("predicates", "class X:\n    async def __call__(self, eval_result): pass\n"),
    "a closure": (
        "predicates",
        "def X():\n    async def check(eval_result): return True\n    return check\n",
    ),
    "an estimator": (
        "estimators",
        "class X:\n    model_dir = 'x'\n    async def train(self): pass\n"
        "    def evaluate(self): pass\n    def latest_checkpoint(self): pass\n",
    ),
}


@pytest.mark.parametrize("what", NEVER_EXECUTED)
def test_what_is_async_or_a_generator_is_never_executed(check, what):
    kind, source = NEVER_EXECUTED[what]
    (found,) = check(kind, source)
    assert (found.id, found.where.rpartition(":")[0].endswith("linted.py")) == ("LNT-045", True)
    assert re.fullmatch(r"\w+\(\) is (async|a generator)", found.what)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("schedules", "def X(experiment):\n    def rounds(): yield 1\n    list(rounds())\n"),
        ("schedules", "def X(experiment):\n    list(x for x in (lambda: (yield))())\n"),
        ("schedules", "import asyncio\n@asyncio.run_it\nasync def X(experiment): pass\n"),
        ("schedules", "def X(experiment, *, rounds=1, **more): pass\n"),
        ("plugins", HOOKIMPL + "def expcore_train_hooks(experiment): yield 1\n"),
        ("plugins", HOOKIMPL + "@other\nasync def expcore_failed(error): pass\n"),
        (
            "exporters",
            "class X:\n    write = None\n    name = 'x'\n"
            "    def export(self, estimator, export_path, checkpoint_path=None): pass\n",
        ),
        ("exporters", "class X:\n    write = None\n    def __init__(self): self.write = print\n"),
        ("hooks", "class X:\n    begin = None\n    def end(self, run): pass\n"),
        ("hooks", "class Base:\n    begin = 3\nclass X(Base):\n    def begin(self, run): pass\n"),
        ("hooks", "try:\n    X = make()\nexcept ImportError:\n    X = None\n"),
        ("hooks", "X = None\ndef later():\n    global X\n    X = print\n"),
        ("hooks", "X = 3\nglobals()['X'] = print\n"),
        ("hooks", "X, other = print, 3\n"),
        ("plugins", "X: object\n"),
    ],
)
def test_what_may_be_executed_or_become_something_else_is_left_alone(check, kind, source):
    target = "linted" if HOOKIMPL in source else "linted:X"
    assert check(kind, source, target=target) == []


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("schedules", "X = -1\n"),
        ("exporters", "X: str = 'linted:Y'\n"),
        ("predicates", "try:\n    X = 1\nexcept ValueError:\n    X = None\n"),
        ("plugins", "X = 3\n"),
        ("plugins", "Y = ['expcore_failed']\nX = Y\n"),
    ],
)
def test_a_constant_is_no_plugin(check, kind, source):
    assert ids(check(kind, source)) == ["LNT-006"]


def test_one_function_is_no_observer(check):
    assert ids(check("plugins", "def X(): pass\n")) == ["LNT-054"]


@pytest.mark.parametrize(
    ("kind", "source", "rules"),
    [
        ("exporters", "class X:\n    write = None\n", ["LNT-035"]),
        ("hooks", "class X:\n    begin = None\n", ["LNT-039"]),
        ("hooks", "class X:\n    begin = 'x'\n    def end(self, run): pass\n", ["LNT-046"]),
        ("hooks", "class B:\n    def begin(self, run): pass\nclass X(B):\n    begin = ()\n", ["LNT-046"]),
        ("predicates", "class X:\n    __call__ = 3\n", ["LNT-046"]),
        (
            "estimators",
            "class X:\n    model_dir = 'x'\n    train = 3\n    evaluate = None\n"
            "    def latest_checkpoint(self): pass\n",
            ["LNT-043", "LNT-046"],
        ),
    ],
)
def test_a_constant_is_no_method(check, kind, source, rules):
    assert ids(check(kind, source)) == rules


def test_the_options_without_default_are_told(check):
    (found,) = check("schedules", "def X(experiment, a, b=1, *, c): pass\n")
    assert (found.id, found.level) == ("LNT-047", "warning")
    assert found.what == "'a', 'c' of thing(experiment, a, b=..., *, c)"


@pytest.mark.parametrize(
    "source",
    [
        "def X(eval_result): return True\n",
        "def X(limit):\n    def check(): return True\n    return check\n",
        "def X(limit):\n    def check(eval_result, other): return True\n    return check\n",
        "class Y:\n    pass\ndef X(limit):\n    return Y()\n",
    ],
)
def test_what_gives_no_predicate_is_found_in_functions_too(check, source):
    assert ids(check("predicates", source)) == ["LNT-042"]


def test_a_format_made_by_a_function_is_looked_at(check):
    source = "class Y:\n    def save(self): pass\ndef X(size=1):\n    return Y()\n"
    assert ids(check("exporters", source)) == ["LNT-035"]


def test_methods_of_a_base_count_and_a_base_that_cannot_be_read_hides_what_is_missing(check):
    source = "from linted_base import Base\nclass X(Base): pass\n"
    base = {"linted_base": "class Base:\n    def begin(self): pass\n"}
    (found,) = check("hooks", source, modules=base)
    assert (found.id, found.what) == ("LNT-040", "begin() is called with 1 argument, and takes ()")
    assert found.where.endswith("linted_base.py:2")


def test_what_a_base_of_a_base_may_have_is_not_missed(check):
    base = {"linted_base": "from .unknown import Root\nclass Base(Root): pass\n"}
    assert check("hooks", "from linted_base import Base\nclass X(Base): pass\n", modules=base) == []


def test_the_nearest_hook_argument_and_method_are_told(check):
    (found,) = check("plugins", WRONG["LNT-050"][1], target="linted")
    assert "did you mean 'expcore_after_train'?" in found.what


def test_the_nearest_argument_of_a_hook_is_told(check):
    (found,) = check("plugins", WRONG["LNT-051"][1], target="linted")
    assert "did you mean 'error'?" in found.what


# --- what the entry names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("not a reference", "LNT-001"),
        ("nowhere_at_all:X", "LNT-002"),
        ("linted.below:X", "LNT-002"),
        ("broken_mod:X", "LNT-003"),
        ("linted:Y", "LNT-004"),
    ],
)
def test_an_entry_that_names_nothing_is_an_error(check, target, rule):
    found = check("hooks", WRONG["LNT-039"][1], target=target, modules={"broken_mod": "x = 1\ndef f(:\n"})
    assert ids(found) == [rule]
    assert rule != "LNT-003" or found[0].where.endswith("broken_mod.py:2")


def test_an_unreadable_table_of_entries_is_an_error(tmp_path):
    sys.path.insert(0, str(tmp_path))
    info = fake_distribution(tmp_path, "expcore-torn", "1", {})
    (info / "entry_points.txt").write_text("[expcore.hooks]\nno equals sign\n")
    found = lint(find_installed("expcore-torn"))
    assert [(f.id, f.entry) for f in found if f.level == "error"] == [("LNT-008", "")]


@pytest.mark.parametrize("content", [b"[expcore.hooks]\nx = \xff:X\n", "[expcore.hooks]\n".encode("utf-16")])
def test_entries_that_are_not_utf_8_are_an_error(tmp_path, content):
    sys.path.insert(0, str(tmp_path))
    info = fake_distribution(tmp_path, "expcore-torn", "1", {})
    (info / "entry_points.txt").write_bytes(content)
    (found,) = [f for f in lint(find_installed("expcore-torn")) if f.level == "error"]
    assert (found.id, found.where) == ("LNT-008", "entry_points.txt")


@pytest.mark.parametrize(
    ("group", "near"), [("expcore.exporter", "expcore.exporters"), ("expcore.hook", "expcore.hooks")]
)
def test_a_group_that_does_not_exist_is_an_error_with_the_nearest(tmp_path, group, near):
    sys.path.insert(0, str(tmp_path))
    groups = {group: {"x": "group_mod:X"}, "expcore.conformance": {"y": "group_mod:Y"}, "other": {"z": "a:b"}}
    fake_distribution(tmp_path, "expcore-group", "1", groups)
    (found,) = [f for f in lint(find_installed("expcore-group")) if f.level == "error"]
    assert (found.id, found.entry) == ("LNT-007", "")
    assert f"there is no group {group!r}; did you mean {near!r}?" in found.what


def test_a_name_that_is_declared_twice_is_an_error(tmp_path):
    sys.path.insert(0, str(tmp_path))
    info = fake_distribution(
        tmp_path, "expcore-twice", "1", {}, {"twice_mod": "def a(experiment): pass\nb = a\n"}
    )
    (info / "entry_points.txt").write_text("[expcore.schedules]\nx = twice_mod:a\nx = twice_mod:b\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: expcore-twice\nVersion: 1\n{REQUIRES}")
    (found,) = lint(find_installed("expcore-twice"))
    assert (found.id, found.what) == ("LNT-005", "it is twice_mod:a and twice_mod:b")


# --- heavy imports ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "import tensorflow as tf",
        "from tensorflow.io import gfile",
        "import os, tensorflow.io",
        "import tensorflow\nfrom tensorflow import io",
        "try:\n    import tensorflow\nexcept ImportError:\n    pass",
        "if True:\n    import tensorflow",
        "class Inner:\n    import tensorflow",
        "import importlib\ntf = importlib.import_module('tensorflow')",
    ],
)
def test_a_heavy_import_that_comes_with_the_module_is_found(check, line):
    found = check("hooks", f"{line}\nclass X:\n    def begin(self, run): pass\n")
    assert ids(found) == ["LNT-010"]
    assert found[0].what == "linted imports tensorflow"


@pytest.mark.parametrize(
    "line",
    [
        "def f():\n    import tensorflow",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow",
        "import typing\nif typing.TYPE_CHECKING:\n    import tensorflow",
        "if __name__ == '__main__':\n    import tensorflow",
        "tensorflow = None",
        "import json",
    ],
)
def test_an_import_that_does_not_come_with_the_module_is_not(check, line):
    assert check("hooks", f"{line}\nclass X:\n    def begin(self, run): pass\n") == []


def test_the_chain_of_imports_is_told_with_file_and_line(check, tmp_path):
    modules = {
        "pkg": "",
        "pkg.entry": "from . import middle\nclass X:\n    def begin(self, run): pass\n",
        "pkg.middle": "import json\nfrom .deep import thing\n",
        "pkg.deep": "x = 1\nimport pandas\nthing = 2\n",
        "pkg.unused": "import torch\n",
    }
    (found,) = check("hooks", "", target="pkg.entry:X", modules=modules)
    assert found.what == "pkg.entry imports pkg.middle imports pkg.deep imports pandas"
    assert found.where == f"{tmp_path}/pkg/deep.py:2"


def test_what_the_package_itself_imports_counts_and_is_told_once(tmp_path):
    sys.path.insert(0, str(tmp_path))
    hooks = "class X:\n    def begin(self, run): pass\n"
    info = fake_distribution(
        tmp_path,
        "expcore-init",
        "1",
        {"expcore.hooks": {"a": "initpkg.one:X", "b": "initpkg.two:X"}},
        {"initpkg": "import torch\n", "initpkg.one": hooks, "initpkg.two": hooks},
    )
    with (info / "METADATA").open("a") as file:
        file.write(REQUIRES)
    (found,) = lint(find_installed("expcore-init"))
    assert (found.id, found.entry, found.what) == ("LNT-010", "hooks/a", "initpkg imports torch")


# --- bounds and names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requires", "rules"),
    [
        ("", ["LNT-020"]),
        ("Requires-Dist: expcore>=0.1,<0.2; extra == 'test'\n", ["LNT-020"]),
        ("Requires-Dist: expcore\n", ["LNT-021", "LNT-022"]),
        ("Requires-Dist: expcore<0.2\n", ["LNT-021"]),
        ("Requires-Dist: Expcore>=0.1\n", ["LNT-022"]),
        ("Requires-Dist: expcore>=7,<8\n", ["LNT-023"]),
        ("Requires-Dist: expcore~=0.1.0\n", []),
        ("Requires-Dist: not a requirement\nRequires-Dist: expcore>=0.1,<0.2\n", []),
    ],
)
def test_bounds_on_expcore_are_asked_for(check, requires, rules):
    assert ids(check("schedules", "def X(experiment): pass\n", requires=requires)) == rules


def test_names_are_looked_at(check):
    found = check("exporters", RIGHT["a format"][1], name="best", dist="mylab")
    assert [(f.id, f.level) for f in found] == [("LNT-060", "note"), ("LNT-062", "note")]


def test_an_entry_name_in_camel_case_is_a_warning(check):
    assert ids(check("exporters", RIGHT["a format"][1], name="MyFormat")) == ["LNT-061"]


# --- the command --------------------------------------------------------------------------------------


def invoke(*args):
    result = CliRunner().invoke(main, ["plugins", "check", *args])
    assert "Traceback" not in result.output
    return result


def test_the_exit_code_is_1_for_an_error_and_with_strict_for_a_warning(check):
    check("exporters", WRONG["LNT-044"][1])
    result = invoke("expcore-linted")
    assert result.exit_code == 0
    assert result.stdout.endswith("expcore-linted 1: 0 errors, 1 warning, 0 notes\n")
    assert invoke("expcore-linted", "--strict").exit_code == 1


def test_an_error_ends_with_1_and_is_told_with_id_place_and_how_to_mend(check, tmp_path):
    check("exporters", WRONG["LNT-035"][1])
    result = invoke("expcore-linted")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:4] == [
        "LNT-035 error: exporters/thing: it is neither a format nor an exporter",
        "  it has neither write() nor export()",
        f"  at: {tmp_path}/linted.py:2",
        "  mend: define write(), or name and export()",
    ]


def test_as_json_each_finding_has_all_its_parts(check):
    check("exporters", WRONG["LNT-035"][1])
    result = invoke("expcore-linted", "--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["distribution"], told["version"]) == ("expcore-linted", "1")
    assert set(told["findings"][0]) == {"id", "level", "entry", "where", "title", "what", "mend"}


def test_nothing_found_is_said(check):
    check("schedules", "def X(experiment): pass\n")
    assert invoke("expcore-linted").stdout == "expcore-linted 1: nothing found\n"


def test_an_unknown_distribution_is_refused_with_the_nearest(check):
    check("schedules", "def X(experiment): pass\n")
    result = invoke("expcore-lintd")
    assert (result.exit_code, "did you mean 'expcore-linted'" in result.stderr) == (64, True)


# --- the page -----------------------------------------------------------------------------------------


def test_every_rule_is_on_the_page_with_its_level_and_no_other():
    text = (
        (ROOT / "docs/cli.md")
        .read_text()
        .partition("## Findings of `plugins check`\n")[2]
        .partition("\n## ")[0]
    )
    rows = {
        cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:-1]]
        for cells in (re.split(r"(?<!\\)\|", line) for line in text.splitlines() if line.startswith("| `LNT"))
    }
    assert rows == {
        rule: [found.level, found.title.replace("|", "\\|"), found.mend.replace("|", "\\|")]
        for rule, found in RULES.items()
    }


def test_every_rule_has_a_test_here():
    text = Path(__file__).read_text()
    assert {rule for rule in RULES if f'"{rule}"' not in text} == set()
