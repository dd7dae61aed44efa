"""``expcore plugins list, why, show``: what is installed, told without importing any of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from expcore.cli import main, output
from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing, Sources
from expcore.host import set_default_host
from expcore.testing import fake_distribution

EXPLODES = "raise AssertionError('was imported')\n"
STATUSES = ("active", "shadowed", "blocked", "broken", "conflict")


@pytest.fixture(autouse=True)
def as_before():
    """Gives back what the command sets for its process: environment, path, default host."""
    environ, path, host = dict(os.environ), list(sys.path), set_default_host(None)
    for name in [n for n in os.environ if n.startswith("EXPCORE_")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    set_default_host(host)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that stands for site-packages; the working directory has no settings."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    folder = tmp_path / "site"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    return folder


def invoke(*args):
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert "Traceback" not in result.output
    return result


def told(*args):
    result = invoke(*args, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def exporter(site, dist="expcore-mybest", version="1.2.0", name="best", source=EXPLODES + "class X: pass\n"):
    module = dist.replace("-", "_")
    entries = {"expcore.exporters": {name: f"{module}:X"}}
    return fake_distribution(site, dist, version, entries, {module: source})


def crowd(site):
    """Distributions in every state that can be thought of; importing any is an AssertionError."""
    exporter(site, "expcore-one", "1", "npz")
    exporter(site, "expcore-two", "2", "npz")
    exporter(site, "expcore-mybest")
    fake_distribution(site, "expcore-gone", "3", {"expcore.hooks": {"gone": "nowhere_to_be_found:X"}})
    fake_distribution(site, "expcore-odd", "4", {"expcore.hooks": {"odd": "not a reference"}})
    fake_distribution(
        site,
        "expcore-exits",
        "5",
        {"expcore.plugins": {"exits": "exits_mod"}},
        {"exits_mod": "raise SystemExit(3)"},
    )
    fake_distribution(
        site,
        "expcore-misspelt",
        "6",
        {"expcore.plugins": {"misspelt": "misspelt_mod"}},
        {"misspelt_mod": "from expcore import hookimpl\n@hookimpl\ndef expcore_after_trian(): pass\n"},
    )
    info = fake_distribution(site, "expcore-unreadable", "7", {"expcore.hooks": {"a": "b:c"}})
    (info / "entry_points.txt").write_text("[expcore.hooks]\nno equals sign\n")
    info = fake_distribution(site, "expcore-binary", "8", {"expcore.hooks": {"bin": "expcore_one:X"}})
    (info / "METADATA").write_bytes(b"\xff\xfe\x00Name\x00")


# --- list ---------------------------------------------------------------------------------------------


def test_filters_of_the_list_combine(site):
    crowd(site)
    every = told("plugins", "list")
    assert {row["status"] for row in every} == {"active", "shadowed", "broken", "conflict"}
    for status in STATUSES:
        found = told("plugins", "list", "--status", status)
        assert found == [row for row in every if row["status"] == status]
    found = told("plugins", "list", "--kind", "exporter", "--status", "conflict", "--dist", "Expcore_One")
    assert [(row["name"], row["provider"]) for row in found] == [("npz", "expcore-one")]
    assert told("plugins", "list", "--kind", "schedules", "--dist", "expcore-one") == []


def test_a_list_can_be_restricted_to_what_is_switched_off(site):
    os.environ["EXPCORE_DISABLE"] = "exporters/best"
    rows = told("plugins", "list", "--status", "blocked")
    assert [(row["kind"], row["name"]) for row in rows] == [("exporters", "best")]


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (("--kind", "exportrs"), "exporters"),
        (("--dist", "expcor-mybest"), "expcore-mybest"),
        (("--status", "actve"), "active"),
        (("--dist", "expcor-mybest", "--kind", "hooks"), "expcore-mybest"),
    ],
)
def test_an_unknown_kind_distribution_or_status_is_refused_with_the_nearest(site, args, near):
    exporter(site)
    result = invoke("plugins", "list", *args)
    assert result.exit_code == 64
    assert f"did you mean '{near}'" in result.stderr


def test_markdown_and_table_are_filtered_too(site):
    exporter(site)
    lines = invoke("plugins", "list", "--dist", "expcore-mybest", "--format", "md").stdout.splitlines()
    assert lines[2:] == ["| exporters | best | expcore-mybest | 1.2.0 | active | expcore_mybest:X |"]
    assert len(invoke("plugins", "list", "--dist", "expcore-mybest").stdout.splitlines()) == 2


def test_a_terminal_gets_lines_that_fit_it():
    head, rows = ("NAME", "TARGET"), [("a", "x" * 50), ("bb", "y" * 10)]
    assert output.table(head, rows) == ["NAME  TARGET", "a     " + "x" * 50, "bb    " + "y" * 10]
    assert output.table(head, rows, 40) == ["NAME  TARGET", "a     " + "x" * 33 + "…", "bb    " + "y" * 10]
    assert output.table(head, rows, 20) == ["NAME", "a", "bb"]
    assert output.table(head, rows[1:], 20) == ["NAME  TARGET", "bb    " + "y" * 10]


# --- why ----------------------------------------------------------------------------------------------


def test_why_names_the_built_in_by_rule_5(site):
    found = told("plugins", "why", "exporters/best")
    assert (found["number"], found["rule"], found["winner"]["dist"]) == (5, "built-in", "expcore")
    assert re.search(r"exporters/best\.py:\d+$", found["winner"]["source"])
    assert [c["status"] for c in found["candidates"]] == ["active"]


def test_why_names_the_third_party_by_rule_4_and_how_to_have_the_built_in(site):
    exporter(site)
    text = invoke("plugins", "why", "exporters/best").stdout
    assert text.startswith("exporters/best is expcore-mybest 1.2.0\n  Rule 4, third party: ")
    assert "it replaces the built-in" in text
    assert f"active    expcore-mybest 1.2.0  expcore_mybest:X\n            {site}/expcore_mybest.py:2" in text
    for way in ("--use exporters/best=expcore\n", "EXPCORE_USE=exporters/best=expcore\n", "expcore:best"):
        assert way in text
    assert '[tool.expcore.use] "exporters/best" = "expcore"' in text


def test_what_why_advises_is_what_then_counts(site):
    exporter(site)
    found = told("plugins", "why", "exporters/best", "--use", "exporters/best=expcore")
    assert (found["number"], found["chosen_by"], found["winner"]["dist"]) == (3, "--use", "expcore")
    found = told("plugins", "why", "exporter/expcore:best")
    assert (found["number"], found["winner"]["dist"]) == (2, "expcore")


def test_why_tells_where_a_choice_came_from(site):
    exporter(site)
    with open("pyproject.toml", "w") as file:
        file.write('[tool.expcore.use]\n"exporters/best" = "expcore"\n')
    found = told("plugins", "why", "exporters/best")
    assert (found["number"], found["winner"]["dist"]) == (3, "expcore")
    assert "pyproject.toml, [tool.expcore]" in found["chosen_by"]
    os.environ["EXPCORE_USE"] = "exporters/best=expcore-mybest"
    found = told("plugins", "why", "exporters/best")
    assert (found["chosen_by"], found["winner"]["dist"]) == ("EXPCORE_USE", "expcore-mybest")


def test_why_in_a_conflict_shows_both_and_three_ways_out_and_the_question_was_answered(site):
    exporter(site, "expcore-one", "1", "npz")
    exporter(site, "expcore-two", "2", "npz")
    result = invoke("plugins", "why", "exporters/npz")
    assert result.exit_code == 0
    for part in ("npz is in conflict", "expcore-one 1  ", "expcore-two 2  ", "Three ways out"):
        assert part in result.stdout
    for way in (
        "--use exporters/npz=expcore-one",
        "-p no:expcore-two:exporters/npz",
        "pip uninstall expcore-two",
    ):
        assert way in result.stdout
    found = told("plugins", "why", "exporters/npz")
    assert (found["winner"], found["number"], len(found["change"])) == (None, None, 3)


@pytest.mark.parametrize(
    "option", [("--use", "exporters/npz=expcore-one"), ("-p", "no:expcore-two:exporters/npz")]
)
def test_each_way_out_of_a_conflict_can_be_tried_in_why(site, option):
    exporter(site, "expcore-one", "1", "npz")
    exporter(site, "expcore-two", "2", "npz")
    assert told("plugins", "why", "exporters/npz", *option)["winner"]["dist"] == "expcore-one"


@pytest.mark.parametrize("bad", ["nowhere_to_be_found:X", "expcore_good:Absent"])
def test_of_a_conflict_with_a_broken_one_the_other_is_advised_and_the_broken_one_goes(site, bad):
    fake_distribution(site, "expcore-bad", "2", {"expcore.exporters": {"vv": bad}})
    exporter(site, "expcore-good", "1", "vv")
    change = dict(told("plugins", "why", "exporters/vv")["change"])
    assert change["choose one"].startswith("--use exporters/vv=expcore-good\n")
    assert change["switch one off"].startswith("-p no:expcore-bad:exporters/vv\n")
    assert change["remove one"] == "pip uninstall expcore-bad"
    found = told("plugins", "why", "exporters/vv", "-p", "no:expcore-bad:exporters/vv")
    assert found["winner"]["dist"] == "expcore-good"


def test_of_a_conflict_in_which_all_are_broken_there_are_ways_out_too(site):
    for dist in ("expcore-u", "expcore-v"):
        fake_distribution(site, dist, "2", {"expcore.exporters": {"vv": "nowhere_to_be_found:X"}})
    change = dict(told("plugins", "why", "exporters/vv")["change"])
    assert (change["choose one"].split("\n")[0], change["remove one"]) == (
        "--use exporters/vv=expcore-u",
        "pip uninstall expcore-v",
    )


def test_a_conflict_within_the_distribution_that_is_asked_for_is_no_one_elses(site):
    info = exporter(site, "expcore-v", "1", "vv", EXPLODES + "class X: pass\nclass Y: pass\n")
    (info / "entry_points.txt").write_text("[expcore.exporters]\nvv = expcore_v:X\nvv = expcore_v:Y\n")
    fake_distribution(site, "expcore-u", "2", {"expcore.exporters": {"vv": "nowhere_to_be_found:X"}})
    change = dict(told("plugins", "why", "exporters/expcore-v:vv")["change"])
    assert (change["remove one"], "choose one" in change) == ("pip uninstall expcore-v", False)


def test_why_tells_what_is_switched_off_and_by_what(site):
    exporter(site, name="npz")
    result = invoke("plugins", "why", "exporters/npz", "--no-plugins")
    assert result.exit_code == 0
    assert result.stdout.startswith("exporters/npz is nothing\n")
    assert "EXPCORE_ALLOW" in result.stdout
    found = told("plugins", "why", "exporters/npz", "-p", "no:exporters/npz")
    assert found["rule"] == "blocked"
    assert "-p no:exporters/npz" in found["candidates"][0]["blocked"]


def test_why_of_a_broken_component_tells_that_it_is_and_has_no_source(site):
    crowd(site)
    found = told("plugins", "why", "hooks/gone")
    assert [(c["status"], c["source"]) for c in found["candidates"]] == [("broken", None)]


def test_why_of_an_observer_says_that_all_are_called(site):
    found = told("plugins", "why", "plugins/default_hooks")
    assert found["rule"] == "observers"
    assert [c["dist"] for c in found["candidates"]] == ["expcore"]
    result = invoke("plugins", "why", "plugins/default_hoks")
    assert result.exit_code == 64
    assert "did you mean 'default_hooks'" in result.stderr


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("exporters/bst", "did you mean 'best'"),
        ("exportrs/best", "did you mean 'exporters'"),
        ("exporters/expcor:best", "did you mean 'expcore'"),
        ("best", "not of the form KIND/NAME"),
        ("exporters/", "not of the form KIND/NAME"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(site, name, part):
    result = invoke("plugins", "why", name)
    assert result.exit_code == 64
    assert part in result.stderr


def test_a_choice_of_a_wrong_form_is_wrong_usage(site):
    assert invoke("plugins", "why", "exporters/best", "-p", "best").exit_code == 64
    assert invoke("plugins", "why", "exporters/best", "--use", "best").exit_code == 64


# --- show ---------------------------------------------------------------------------------------------


def test_show_tells_version_place_bounds_and_each_plugin_with_its_documentation(site):
    source = EXPLODES + 'class X:\n    """Writes it\n    so."""\n'
    info = exporter(site, source=source)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Expcore.MyBest\nVersion: 1.2.0\nSummary: Better\n"
        "Requires-Dist: numpy\nRequires-Dist: expcore<0.2,>=0.1\nRequires-Python: >=3.11\n"
    )
    found = told("plugins", "show", "expcore_mybest")
    assert found == {
        "distribution": "Expcore.MyBest",
        "version": "1.2.0",
        "summary": "Better",
        "location": str(site),
        "editable": None,
        "requires_python": ">=3.11",
        "requires_expcore": ["expcore<0.2,>=0.1"],
        "plugins": [
            {
                "component": "exporters/best",
                "status": "active",
                "target": "expcore_mybest:X",
                "source": f"{site}/expcore_mybest.py:2",
                "about": "Writes it",
                "problem": None,
            }
        ],
    }
    text = invoke("plugins", "show", "expcore-mybest").stdout
    for part in (
        "Expcore.MyBest 1.2.0\n  Better\n",
        "exporters/best  active",
        "Writes it",
        "expcore<0.2,>=0.1",
    ):
        assert part in text


def test_show_tells_that_an_installation_is_editable(site):
    info = exporter(site)
    (info / "direct_url.json").write_text(
        '{"url": "file:///home/me/my%20best", "dir_info": {"editable": true}}'
    )
    assert told("plugins", "show", "expcore-mybest")["editable"] == "/home/me/my best"
    (info / "direct_url.json").write_text("{")
    assert told("plugins", "show", "expcore-mybest")["editable"] is None


def test_show_works_for_expcore_itself(site):
    found = told("plugins", "show", "expcore")
    assert len(found["plugins"]) > 30
    assert all(plugin["source"] and plugin["about"] for plugin in found["plugins"])


@pytest.mark.parametrize(
    ("dist", "problem"),
    [
        ("expcore-gone", "there is no module 'nowhere_to_be_found'"),
        ("expcore-odd", "it is not of the form module:attribute"),
        ("expcore-unreadable", "entry_points.txt"),
        ("expcore-exits", None),
        ("expcore-misspelt", None),
    ],
)
def test_show_works_for_what_is_broken(site, dist, problem):
    crowd(site)
    (plugin,) = told("plugins", "show", dist)["plugins"]
    assert (plugin["problem"] is None) == (problem is None)
    assert problem is None or problem in json.dumps(plugin)
    assert invoke("plugins", "show", dist).exit_code == 0


def test_show_of_what_has_no_plugin_is_refused_with_the_nearest(site):
    exporter(site)
    result = invoke("plugins", "show", "expcore-mybst")
    assert (result.exit_code, "did you mean 'expcore-mybest'" in result.stderr) == (64, True)
    result = invoke("plugins", "show", "click")
    assert (result.exit_code, "it provides no plugin of expcore" in result.stderr) == (64, True)


def test_with_load_show_imports_in_another_process_and_tells_signature_or_failure(site):
    fake_distribution(
        site,
        "expcore-mixed",
        "1",
        {
            "expcore.exporters": {"good": "mixed_mod:Good", "absent": "mixed_mod:Absent"},
            "expcore.hooks": {"exits": "mixed_exits:X", "dies": "mixed_dies:X"},
        },
        {
            "mixed_mod": "from __future__ import annotations\nprint('loud')\n"
            "class Good:\n    def __init__(self, size: int | None = 3): pass\n",
            "mixed_exits": "raise SystemExit(3)\n",
            "mixed_dies": "import os\nos._exit(7)\n",
        },
    )
    found = told("plugins", "show", "expcore-mixed", "--load")
    loads = {plugin["component"]: plugin["load"] for plugin in found["plugins"]}
    assert loads["exporters/good"]["signature"] == "(size: int | None = 3)"
    assert loads["exporters/good"]["error"] is None
    assert loads["exporters/absent"]["error"].startswith("AttributeError")
    assert loads["hooks/exits"]["error"] == "SystemExit: 3"
    assert loads["hooks/dies"]["error"] == "the import ended the process with 7"
    assert not any(name.startswith("mixed_") for name in sys.modules)
    text = invoke("plugins", "show", "expcore-mixed", "--load").stdout
    assert "called as  (size: int | None = 3)" in text
    assert "failed: SystemExit: 3" in text


# --- nothing is imported ------------------------------------------------------------------------------

COMMANDS = [
    ["plugins", "list"],
    ["plugins", "list", "--kind", "exporters", "--dist", "expcore-one", "--status", "conflict"],
    ["plugins", "why", "exporters/npz"],
    ["plugins", "why", "exporters/best", "--format", "json"],
    ["plugins", "show", "expcore-one"],
    ["plugins", "show", "expcore-unreadable"],
    ["plugins", "check", "expcore-one"],
    ["plugins", "check", "expcore-exits"],
    ["doctor"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_commands_about_plugins_import_none_of_them_and_nothing_heavy(site, args):
    crowd(site)
    code = (
        "import sys\n"
        "from expcore.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert end.code in (None, 0, 1), end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pydantic', 'yaml', 'tqdm', 'expcore_plugins'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
        "print('PLUGINS', [n for n in sys.modules if n.startswith(('expcore_one', 'exits', 'misspelt'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *args],
        env={**os.environ, "PYTHONPATH": str(site), "EXPCORE_STRICT_PLUGINS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines()[-2:] == ["HEAVY []", "PLUGINS []"], done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) > 3


# --- finding sources ----------------------------------------------------------------------------------


@pytest.fixture
def sources(site):
    fake_distribution(
        site,
        "expcore-sources",
        "1",
        {},
        {
            "srcs": "from .deep.inner import Original as Renamed\n"
            "from .star import *\n"
            "import srcs.deep as d\n",
            "srcs.deep": EXPLODES,
            "srcs.deep.inner": "if True:\n    class Original:\n        def method(self): pass\n",
            "srcs.star": "class Starred: pass\n",
            "srcs.dynamic": "def __getattr__(name): return name\n",
            "srcs.made": "globals()['x'] = 1\n",
            "srcs.bad": "def f(:\n",
            "srcs.alias": "class A: pass\nB = A\nC = len('x')\n"
            "try:\n    from srcs.star import Starred\nexcept ImportError:\n    Starred = None\n",
            "srcs.round": "from srcs.about import x\n",
            "srcs.about": "from srcs.round import x\n",
        },
    )
    space = site / "spaced" / "inner"
    space.mkdir(parents=True)
    (space / "mod.py").write_text("class S: pass\n")
    return Sources()


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("srcs:Renamed", "srcs/deep/inner.py:2"),
        ("srcs:Renamed.method", "srcs/deep/inner.py:3"),
        ("srcs:Starred", "srcs/star.py:1"),
        ("srcs:d.inner.Original", "srcs/deep/inner.py:2"),
        ("srcs:star", "srcs/star.py"),
        ("srcs.alias:B", "srcs/alias.py:1"),
        ("srcs.alias:C", "srcs/alias.py:3"),
        ("srcs.alias:Starred", "srcs/star.py:1"),
        ("srcs.alias", "srcs/alias.py"),
        ("srcs.alias:A [extra]", "srcs/alias.py:1"),
        ("spaced.inner.mod:S", "spaced/inner/mod.py:1"),
    ],
)
def test_a_definition_is_found_without_importing(site, sources, target, where):
    assert sources.target(target).where == f"{site}/{where}"
    assert not any(name.partition(".")[0] in ("srcs", "spaced") for name in sys.modules)


@pytest.mark.parametrize("target", ["srcs.dynamic:x", "srcs.made:x", "math:sqrt", "srcs.round:x", "sys:path"])
def test_what_the_text_does_not_tell_is_left_open(sources, target):
    place = sources.target(target)
    assert place.definition is None
    assert ":" not in place.where


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("nowhere_at_all:X", ModuleMissing),
        ("srcs.nowhere:X", ModuleMissing),
        ("srcs.star.below:X", ModuleMissing),
        ("srcs.bad:f", ModuleBroken),
        ("srcs.star:Absent", AttributeMissing),
    ],
)
def test_what_is_not_there_is_told_apart(sources, target, error):
    with pytest.raises(error):
        sources.target(target)


# --- whatever is installed ----------------------------------------------------------------------------

ALL = "[expcore.%s]\na = evil:X\n"
EVERY_KIND = "".join(
    ALL % kind for kind in ("estimators", "schedules", "exporters", "hooks", "predicates", "plugins")
)
NASTY_ENTRIES = [
    "[expcore.hooks]\na = ..:X\n",
    "[expcore.hooks]\na =\n",
    "[expcore.hooks]\na = evil:X..Y\n",
    "[expcore.hooks]\nä, b = évil:X\n",
    "[expcore.hooks]\na = evil:X\na = evil:Y\n[expcore.plugins]\na=evil\na = evil:X\n",
    "a = b\n[expcore.hooks]\n",
    b"\xff\xfe[expcore.hooks]\na = b:c\n",
]
NASTY_METADATA = [
    "",
    b"\xff\xfe\x00\x01",
    "Version: 1\n",
    "Name: expcore-evil\nVersion: not.a.version!\nRequires-Dist: expcore>=\nRequires-Python: ?\n",
    "Name: expcore-evil\nRequires-Dist: expcore>=1; python_version < 'x' and os_name ~= '1'\n",
]
NASTY_SOURCES = [
    "x\x00",
    b"# -*- coding: nonsense -*-\n",
    b"x = '\xe9'\n",
    "x = " + "-" * 50_000 + "1\n",
    "class X(Y): pass\nclass Y(X, X, X): pass\n",
    "from evil import *\nfrom evil import X\n",
    "from ..... import x\nX = x\n",
    "class X:\n def __init__(*self): pass\n def __call__(): pass\n def write(): pass\n",
    "from expcore import hookimpl\nclass X:\n @hookimpl(**{})\n @property\n def expcore_x(self): pass\n",
    "(X, Y), *Z = 1\nX: int\ndel X\n",
    "match 1:\n  case 1:\n    import torch\n    async def X(*, experiment): pass\n",
]
NASTY = [
    *[(text, None, "class X: pass\n") for text in NASTY_ENTRIES],
    *[(EVERY_KIND, text, "class X: pass\n") for text in NASTY_METADATA],
    *[(EVERY_KIND, None, text) for text in NASTY_SOURCES],
]


@pytest.mark.parametrize(("entries", "metadata", "source"), NASTY, ids=range(len(NASTY)))
def test_whatever_is_installed_there_is_an_answer_and_no_traceback(site, entries, metadata, source):
    info = fake_distribution(site, "expcore-evil", "1", {})
    for path, content in (
        (info / "entry_points.txt", entries),
        (info / "METADATA", metadata),
        (site / "evil.py", source),
    ):
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for args in (["list"], ["why", "hooks/a"], ["why", "plugins/a"], ["show", "expcore-evil"]):
        assert invoke("plugins", *args).exit_code in (0, 64), args
    assert invoke("plugins", "check", "expcore-evil").exit_code in (0, 1, 64)
    assert invoke("doctor").exit_code in (0, 1)


def test_why_explains_a_choice_that_nobody_provides(site):
    exporter(site)
    result = invoke("plugins", "why", "exporters/best", "--use", "exporters/best=expcore-nobody")
    assert result.exit_code == 0
    assert "exporters/best is nothing" in result.stdout
    assert "does not provide it; chosen by --use." in " ".join(result.stdout.split())
    assert "--use exporters/best=expcore" in result.stdout
    asked = invoke("plugins", "why", "exporters/expcore-nobody:best")
    assert asked.exit_code == 64


# --- what steers a terminal ---------------------------------------------------------------------------

RED = "\x1b[31mred\x9b\u202e"
SHOWN = r"\x1b[31mred\x9b\u202e"


@pytest.fixture
def steering(site):
    """A distribution whose metadata, entry and source say what would colour and turn a terminal's text."""
    info = fake_distribution(
        site,
        "expcore-red",
        "1",
        {"expcore.exporters": {f"n{RED}": f"red_mod:X{RED}", "red": f"gone{RED}:X"}},
        {"red_mod": f'class X:\n    """{RED}"""\n'},
    )
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: expcore-red\nVersion: 1{RED}\nSummary: Sum {RED}\n"
    )
    return site


@pytest.mark.parametrize(
    "args",
    [
        ("plugins", "list"),
        ("plugins", "list", "--format", "md"),
        ("plugins", "why", "exporters/red"),
        ("plugins", "show", "expcore-red"),
        ("plugins", "check", "expcore-red"),
        ("doctor",),
    ],
)
def test_control_characters_of_metadata_reach_no_terminal(steering, args):
    result = CliRunner().invoke(main, list(args))
    assert not {"\x1b", "\x9b", "\u202e"} & set(result.output)
    assert SHOWN in result.output


def test_what_is_escaped_is_shown_as_repr_shows_it_and_the_rest_is_left():
    assert output.escaped("ä … 日本 \\x1b\t") == "ä … 日本 \\x1b\\t"
    assert output.escaped("a\nb\x07\udc80", keep="\n") == "a\nb\\x07\\udc80"
    assert output.table(["A", "B"], [["\x1b", "x"]]) == ["A     B", "\\x1b  x"]
