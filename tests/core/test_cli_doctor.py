"""``expcore doctor``: everything wrong is told on one page, nothing is imported, and it never falls over."""

from __future__ import annotations

import json
import os
import sys

import pytest
from click.testing import CliRunner

from expcore.cli import main
from expcore.cli.probe import probe
from expcore.host import set_default_host
from expcore.testing import fake_distribution

GOOD = "class X:\n    def begin(self, run): pass\n"


@pytest.fixture(autouse=True)
def as_before():
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
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    folder = tmp_path / "site"
    folder.mkdir()
    # The tree's own leftovers of building (expcore.egg-info) are not what is tested here.
    sys.path[:] = [
        str(folder),
        *(p for p in sys.path if not os.path.isdir(os.path.join(p, "expcore.egg-info"))),
    ]
    return folder


def hook(site, dist, version="1", name="thing", target=None, source=GOOD, more=""):
    module = dist.replace("-", "_")
    entries = {"expcore.hooks": {name: target or f"{module}:X"}}
    info = fake_distribution(site, dist, version, entries, {module: source})
    with (info / "METADATA").open("a") as file:
        file.write(more)
    return info


def invoke(*args):
    result = CliRunner().invoke(main, ["doctor", *args])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def problems(*args):
    result = invoke("--format", "json", *args)
    found = json.loads(result.stdout)["problems"]
    assert result.exit_code == (1 if found else 0)
    return found


def one(*args):
    (problem,) = problems(*args)
    return problem


def test_without_a_problem_the_exit_code_is_0_and_versions_are_told(site):
    hook(site, "expcore-good")
    result = invoke()
    assert result.exit_code == 0, result.output
    for line in ("Versions", "Choices in force\n  none", "Problems\n  none"):
        assert line in result.stdout
    found = json.loads(invoke("--format", "json").stdout)
    assert {"expcore", "python", "tensorflow", "keras", "pluggy", "click"} <= set(found["versions"])
    assert {"distribution": "expcore-good", "version": "1", "statuses": {"active": 1}} in found["plugins"]


def test_choices_in_force_are_told_with_their_place(site):
    hook(site, "expcore-good")
    os.environ["EXPCORE_DISABLE"] = "expcore-good"
    with open("pyproject.toml", "w") as file:
        file.write('[tool.expcore]\nuse = {"exporters/best" = "expcore"}\n')
    result = invoke()
    assert result.exit_code == 0, result.output
    assert "  environment\n    EXPCORE_DISABLE=expcore-good\n" in result.stdout
    assert "pyproject.toml, [tool.expcore]\n    use = {'exporters/best': 'expcore'}\n" in result.stdout


@pytest.mark.parametrize(
    ("target", "source", "part"),
    [
        ("nowhere_to_be_found:X", GOOD, "there is no module 'nowhere_to_be_found'"),
        ("expcore_bad.below:X", GOOD, "there is no module 'expcore_bad.below'"),
        ("expcore_bad:Y", GOOD, "expcore_bad has no 'Y'"),
        ("expcore_bad:X", "def f(:\n", "expcore_bad.py:1: SyntaxError"),
        ("not a reference", GOOD, "not of the form module:attribute"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_problem_told_once(site, target, source, part):
    hook(site, "expcore-bad", "3", target=target, source=source)
    problem = one()
    assert problem["subject"] == "hooks/thing (expcore-bad 3)"
    assert part in problem["what"]
    assert "EXPCORE_DISABLE=expcore-bad:hooks/thing" in problem["mend"]
    assert invoke().exit_code == 1


def test_what_is_switched_off_is_no_problem(site):
    hook(site, "expcore-bad", "3", target="nowhere_to_be_found:X")
    os.environ["EXPCORE_DISABLE"] = "expcore-bad"
    assert problems() == []


def test_unreadable_entries_and_metadata_are_problems(site):
    info = hook(site, "expcore-torn")
    (info / "entry_points.txt").write_text("[expcore.hooks]\nno equals sign\n")
    info = hook(site, "expcore-binary")
    (info / "METADATA").write_bytes(b"\xff\xfe\x00Name\x00")
    assert any("expcore-torn" in problem["subject"] for problem in problems())


def test_a_conflict_is_a_problem_with_both_and_where_to_ask(site):
    hook(site, "expcore-one", "1")
    hook(site, "expcore-two", "2")
    problem = one()
    assert problem["subject"] == "hooks/thing"
    assert "expcore-one 1 and expcore-two 2" in problem["what"]
    assert "plugins why hooks/thing" in problem["mend"]


def test_a_conflict_with_a_broken_one_is_told_with_both(site):
    hook(site, "expcore-one", "1", target="nowhere_to_be_found:X")
    hook(site, "expcore-two", "2")
    told = {problem["subject"]: problem["what"] for problem in problems()}
    assert set(told) == {"hooks/thing", "hooks/thing (expcore-one 1)"}
    assert told["hooks/thing"].startswith("expcore-one 1 (broken) and expcore-two 2 provide it")


def test_words_that_match_nothing_are_problems(site):
    os.environ["EXPCORE_USE"] = "exporters/bst=expcore"
    os.environ["EXPCORE_DISABLE"] = "hooks/nan_gard"
    told = [problem["what"] for problem in problems()]
    assert len(told) == 2
    assert any("'exporters/best'" in what for what in told)
    assert any("'hooks/nan_guard'" in what for what in told)


@pytest.mark.parametrize("text", ["no toml", "[tool.expcore]\nnonsense = 1\n", "[tool.expcore]\nuse = 5\n"])
def test_settings_that_cannot_be_used_are_a_problem_and_the_rest_is_told_all_the_same(site, text):
    hook(site, "expcore-bad", target="nowhere_to_be_found:X")
    with open("pyproject.toml", "w") as file:
        file.write(text)
    subjects = [problem["subject"] for problem in problems()]
    assert subjects == ["settings", "hooks/thing (expcore-bad 1)"]


def test_an_environment_that_cannot_be_used_is_a_problem(site):
    os.environ["EXPCORE_USE"] = "nonsense"
    told = problems()
    assert {problem["subject"] for problem in told} == {"settings"}
    assert "nonsense" in told[0]["what"]


def test_bounds_on_expcore_that_are_not_kept_are_a_problem(site):
    hook(site, "expcore-late", more="Requires-Dist: expcore>=7\nRequires-Dist: expcore>=9; extra == 'x'\n")
    problem = one()
    assert problem["subject"] == "expcore-late 1"
    assert "requires expcore>=7, and this is expcore" in problem["what"]


def test_a_python_that_is_not_allowed_is_a_problem(site):
    hook(site, "expcore-old", more="Requires-Python: <3.8\n")
    hook(site, "expcore-odd", name="other", more="Requires-Python: whatever\n")
    assert "requires Python <3.8, and this is 3." in one()["what"]


def test_a_distribution_that_hides_another_is_a_problem_with_both_versions_and_places(site, tmp_path):
    hook(site, "expcore-dup", "2")
    hook(tmp_path / "older", "expcore-dup", "1")
    sys.path.insert(1, str(tmp_path / "older"))
    problem = one()
    assert problem["subject"] == "expcore-dup"
    assert f"version 2 in {site} hides version 1 in {tmp_path}/older" in problem["what"]


@pytest.mark.parametrize("versions", [("1", "2"), ("2", "1")])
def test_leftovers_of_an_upgrade_are_a_problem_and_the_version_that_counts_is_the_hosts(site, versions):
    for version in versions:
        hook(site, "expcore-dup", version, name=f"thing{version}")
    problem = one()
    assert problem["what"] == f"version 2 in {site} hides version 1 in {site}"
    result = CliRunner().invoke(main, ["plugins", "show", "expcore-dup", "--format", "json"])
    told = json.loads(result.stdout)
    assert (told["version"], [p["component"] for p in told["plugins"]]) == ("2", ["hooks/thing2"])


def test_the_same_distribution_twice_is_no_problem(site, tmp_path):
    hook(site, "expcore-dup", "2")
    hook(tmp_path / "older", "expcore-dup", "2")
    sys.path.insert(1, str(tmp_path / "older"))
    assert problems() == []


def test_a_misspelt_hook_is_a_problem_without_importing(site):
    fake_distribution(
        site,
        "expcore-misspelt",
        "6",
        {"expcore.plugins": {"watch": "misspelt_mod"}},
        {
            "misspelt_mod": "from expcore import hookimpl\n@hookimpl\ndef expcore_after_trian(): pass\n"
            "raise SystemExit\n"
        },
    )
    assert "did you mean 'expcore_after_train'" in one()["what"]
    assert "misspelt_mod" not in sys.modules


def test_with_load_each_import_is_told_with_time_heavy_libraries_and_failure(site):
    hook(site, "expcore-good", name="good", source="import optuna\n" + GOOD)
    fake_distribution(site, "optuna", "1", {}, {"optuna": ""})
    hook(site, "expcore-exits", name="exits", source="raise SystemExit(3)\n" + GOOD)
    os.environ["EXPCORE_DISABLE"] = "expcore"  # not all the built-ins
    result = invoke("--load", "--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    loaded = {each["plugin"]: each for each in told["loaded"]}
    assert set(loaded) == {"expcore-good:hooks/good", "expcore-exits:hooks/exits"}
    assert loaded["expcore-good:hooks/good"]["heavy"] == ["optuna"]
    assert loaded["expcore-good:hooks/good"]["seconds"] >= 0
    (problem,) = told["problems"]
    assert (problem["subject"], problem["what"]) == ("hooks/exits (expcore-exits 1)", "SystemExit: 3")
    text = invoke("--load").stdout
    assert "brings optuna" in text
    assert "expcore-exits:hooks/exits  failed" in text


def test_a_plugin_that_is_seen_to_be_broken_is_not_told_again_after_its_import(site):
    hook(site, "expcore-bad", target="expcore_bad:Absent")
    os.environ["EXPCORE_DISABLE"] = "expcore"
    assert one("--load")["what"] == "expcore_bad has no 'Absent'"


def test_an_import_that_never_ends_is_killed_after_its_time(site):
    fake_distribution(
        site, "expcore-hangs", "1", {}, {"hangs_mod": "import threading\nthreading.Event().wait()\n"}
    )
    assert probe("hangs_mod:X", 0.5).error == "the import did not end within 0.5 s"


@pytest.mark.parametrize("secs", ["0", "-1", "nan", "-inf"])
def test_a_time_that_is_none_is_wrong_usage(site, secs):
    result = CliRunner().invoke(main, ["doctor", "--load", "--timeout", secs])
    assert (result.exit_code, "give seconds > 0" in result.stderr) == (64, True)
