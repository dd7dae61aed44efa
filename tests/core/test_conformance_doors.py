"""The doors of conformance: the command, pytest without code, the decorator; and the formats of reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from expcore.cli import main
from expcore.conformance import conformance, load_kind
from expcore.conformance.installed import suites
from expcore.errors import ConfigError, InvalidArgument, PluginError
from expcore.testing import fake_distribution

MODULE = """
from expcore.conformance import Sample

def good():
    return lambda eval_result: True

def bad():
    return lambda eval_result: eval_result["loss"] > 0

def patient(patience):
    return lambda eval_result: patience > 0

def patient_sample():
    return Sample(factory=lambda: patient(3))

def excused():
    return Sample(expected_failures={"PRE-003": "it is old", "PRE-004": "it is old"})

def no_sample():
    return 3

def leaves():
    raise SystemExit(0)

def without_estimator():
    return Sample(estimator=lambda model_dir: None)
"""
ALL = len(load_kind("predicate").clauses)
TWO = {"good": "strange_predicates:good", "bad": "strange_predicates:bad"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution ``expcore-strange`` of predicates, and returns where."""

    def installed(predicates, samples=(), name="expcore-strange"):
        site = tmp_path / "site"
        groups = {"expcore.predicates": dict(predicates), "expcore.conformance": dict(samples)}
        fake_distribution(site, name, "1.5", groups, {"strange_predicates": MODULE})
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.chdir(tmp_path)
        sys.modules.pop("strange_predicates", None)
        return site

    yield installed
    sys.modules.pop("strange_predicates", None)


def command(*args):
    done = CliRunner().invoke(main, ["conformance", *args])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


# --- the components of a distribution -----------------------------------------------------------------


def test_every_component_of_a_distribution_has_its_suite(install):
    install(TWO)
    assert [s.label for s in suites("Expcore_Strange")] == [
        "predicates/bad (expcore-strange 1.5)",
        "predicates/good (expcore-strange 1.5)",
    ]


def test_a_sample_brings_what_a_component_needs(install):
    install({"patient": "strange_predicates:patient"})
    (alone,) = suites("expcore-strange")
    (failure,) = alone.report().failures
    assert failure.id == "PRE-001"
    assert "patience" in failure.message


def test_a_component_with_a_sample_is_tried(install):
    install(
        {"patient": "strange_predicates:patient"},
        {"predicates.patient": "strange_predicates:patient_sample"},
    )
    (suite,) = suites("expcore-strange")
    assert suite.report().ok


def test_a_sample_may_leave_the_component_to_the_entry(install):
    install({"bad": "strange_predicates:bad"}, {"predicates.bad": "strange_predicates:excused"})
    (suite,) = suites("expcore-strange")
    assert suite.report().ok
    assert suite.report().counts["xfail"] == 2


def test_a_component_that_cannot_be_imported_fails_its_first_clause_and_blocks_the_rest(install):
    install({"gone": "no_such_module:gone"})
    (suite,) = suites("expcore-strange")
    report = suite.report()
    (failure,) = report.failures
    assert failure.id == "PRE-001"
    assert "No module named 'no_such_module'" in failure.message
    assert report.counts["blocked"] == report.total - 1


@pytest.mark.parametrize(
    ("samples", "kind", "error", "message"),
    [
        ({}, "hook", InvalidArgument, "it provides no hook"),
        ({}, "hok", InvalidArgument, "did you mean 'hook'"),
        (
            {"predicates.good": "strange_predicates:no_sample"},
            None,
            PluginError,
            "gives 3; it must give a Sample",
        ),
        ({"predicates.good": "strange_predicates:nothing"}, None, PluginError, "it cannot be had"),
        (
            {"predicates.goood": "strange_predicates:excused"},
            None,
            ConfigError,
            "did you mean 'predicates/good'",
        ),
    ],
)
def test_what_is_wrong_around_a_distribution_is_told(install, samples, kind, error, message):
    install(TWO, samples)
    with pytest.raises(error, match=message):
        suites("expcore-strange", kind)


def test_a_distribution_that_is_not_there_is_an_error_with_the_nearest(install):
    install(TWO)
    with pytest.raises(InvalidArgument, match=r"'expcore-strang'.*did you mean 'expcore-strange'"):
        suites("expcore-strang")


def test_expected_failures_come_from_pyproject(install, tmp_path):
    install({"bad": "strange_predicates:bad"})
    table = '[tool.expcore.conformance.expected_failures."predicates/bad"]'
    text = f'{table}\n"PRE-003" = "why"\n"PRE-004" = "why"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (suite,) = suites("expcore-strange")
    assert suite.report().ok
    for old, new, message in (
        ("predicates/bad", "predicates/bed", "did you mean 'predicates/bad'"),
        ("expected_failures", "expected_failure", "'expected_failure' is not 'expected_failures'"),
        ('"PRE-003" = "why"', '"PRE-303" = "why"', "'PRE-303' is no clause"),
    ):
        (tmp_path / "pyproject.toml").write_text(text.replace(old, new))
        with pytest.raises((ConfigError, InvalidArgument), match=message):
            suites("expcore-strange")
    (tmp_path / "pyproject.toml").write_text("[tool.expcore.conformance]\nexpected_failures = 3\n")
    with pytest.raises(ConfigError, match="must be a table by kind/name"):
        suites("expcore-strange")
    (tmp_path / "pyproject.toml").write_text("[tool.expcore.conformance.expected_failures]\nx = 3\n")
    with pytest.raises(ConfigError, match="'x' is 3; it must be a table"):
        suites("expcore-strange")


def test_what_ends_the_process_is_a_failure_and_the_others_are_told(install):
    install({"bad": "strange_predicates:bad", "leaves": "strange_predicates:leaves"})
    done = command("expcore-strange")
    assert done.exit_code == 1
    assert "FAILS predicates/bad" in done.stdout
    assert "FAILS predicates/leaves" in done.stdout
    assert "SystemExit" in done.stdout


def test_a_sample_with_a_wrong_estimator_is_told_in_one_line(install):
    install({"good": "strange_predicates:good"}, {"predicates.good": "strange_predicates:without_estimator"})
    done = command("expcore-strange")
    assert done.exit_code == 64
    assert "estimator= returned None" in done.output
    assert "Traceback" not in done.output


# --- the command --------------------------------------------------------------------------------------


def test_the_command_tells_each_component_and_ends_with_1_where_a_must_fails(install):
    install(TWO)
    done = command("expcore-strange")
    assert done.exit_code == 1
    assert f"FAILS predicates/bad (expcore-strange 1.5): ran 5 of {ALL} clauses" in done.output
    assert (
        f"ok    predicates/good (expcore-strange 1.5): ran {ALL} of {ALL} clauses ({ALL} pas" in done.output
    )
    assert "PRE-003 MUST" in done.output
    assert "PRE-001" not in done.output
    assert command("expcore-strange", "-k", "PRE-001", "-k", "PRE-002").exit_code == 0
    assert "PRE-001" in command("expcore-strange", "-v").output


@pytest.mark.parametrize(
    "args",
    [
        ["nowhere"],
        ["expcore-strange", "--kind", "exporter"],
        ["expcore-strange", "-k", "PRE-999"],
        ["expcore-strange", "-k", "PRE-001", "--badge", "badge.json"],
    ],
)
def test_a_wrong_question_ends_with_64_and_one_line(install, args):
    install(TWO)
    done = command(*args)
    assert done.exit_code == 64
    assert "Traceback" not in done.output


def test_json_has_every_result(install):
    install(TWO)
    done = command("expcore-strange", "--format", "json")
    found = json.loads(done.stdout)
    assert (found["schema"], found["distribution"], found["version"]) == (1, "expcore-strange", "1.5")
    assert found["ok"] is False
    bad, good = found["components"]
    assert (bad["kind"], bad["ok"], good["ok"]) == ("predicate", False, True)
    assert {r["id"]: r["status"] for r in bad["results"]}["PRE-003"] == "failed"
    assert len(good["results"]) == good["total"] == good["ran"]


def test_junit_has_a_case_a_clause_and_one_for_the_floor(install):
    install(TWO)
    root = ElementTree.fromstring(command("expcore-strange", "--format", "junit").stdout)
    bad, good = root.iter("testsuite")
    assert bad.get("name") == "predicates/bad (expcore-strange 1.5)"
    for suite in (bad, good):
        assert int(suite.get("tests")) == len(suite.findall("testcase")) == ALL + 1
        assert int(suite.get("failures")) == len(suite.findall(".//failure"))
        assert int(suite.get("skipped")) == len(suite.findall(".//skipped"))
    assert "PRE-003" in bad.find(".//failure").text
    assert good.find(".//failure") is None


def test_markdown_has_a_row_a_clause(install):
    install(TWO)
    output = command("expcore-strange", "--format", "md").stdout
    assert f"| predicates/bad (expcore-strange 1.5) | 5 of {ALL} | **failed** |" in output
    assert "| PRE-003 | MUST | **failed** |" in output
    assert "``" not in output


def test_the_badge_is_what_shields_reads(install, tmp_path):
    install({"good": "strange_predicates:good"})
    assert command("expcore-strange", "--badge", str(tmp_path / "badge.json")).exit_code == 0
    assert json.loads((tmp_path / "badge.json").read_text()) == {
        "schemaVersion": 1,
        "label": "expcore conformance",
        "message": f"predicate {ALL}/{ALL}",
        "color": "brightgreen",
    }
    done = command("expcore-strange", "--badge", str(tmp_path / "nowhere" / "badge.json"))
    assert done.exit_code == 73
    assert "cannot be written" in done.output


def test_a_badge_of_a_failure_is_red_and_counts(install, tmp_path):
    install(TWO)
    assert command("expcore-strange", "--badge", str(tmp_path / "badge.json")).exit_code == 1
    found = json.loads((tmp_path / "badge.json").read_text())
    assert (found["message"], found["color"]) == (f"predicate {ALL + 5}/{2 * ALL}, 2 failed", "red")


# --- pytest -------------------------------------------------------------------------------------------


def run_pytest(site, cwd, *args, plugin=True):
    words = ["-p", "no:cacheprovider", *(["-p", "expcore.pytest_plugin"] if plugin else [])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", *words, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert "INTERNALERROR" not in done.stdout + done.stderr, done.stdout
    return done


def test_pytest_has_a_test_a_clause_without_any_code(install, tmp_path):
    site = install({**TWO, "gone": "no_such_module:gone"})
    done = run_pytest(site, tmp_path, "--expcore-conformance=expcore-strange")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "PASSED expcore-strange::predicates/good::PRE-013" in lines
    assert "PASSED expcore-strange::predicates/good::floor" in lines
    failed = {line.split()[1] for line in lines if line.startswith("FAILED ")}
    assert failed == {
        f"expcore-strange::predicates/{test}" for test in ("bad::PRE-003", "bad::PRE-004", "gone::PRE-001")
    }
    assert any(line.startswith("SKIPPED") and "PRE-003 did not pass" in line for line in lines)
    assert "  seen:      asked before the first evaluation (None), it raised TypeError" in done.stdout
    assert "Traceback" not in done.stdout


def test_pytest_selects_clauses_by_name_and_refuses_a_distribution_that_is_not_there(install, tmp_path):
    site = install(TWO)
    done = run_pytest(site, tmp_path, "--expcore-conformance=expcore-strange", "-k", "PRE-001 or PRE-002")
    assert done.returncode == 0
    assert "4 passed" in done.stdout
    done = run_pytest(site, tmp_path, "--expcore-conformance=expcore-strang")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "did you mean 'expcore-strange'" in done.stderr


def test_without_the_option_pytest_imports_nothing_of_expcore_but_the_plugin(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    found = {n for n in sys.modules if n.partition('.')[0] == 'expcore'}\n"
        "    assert found == {'expcore', 'expcore.pytest_plugin'}\n"
    )
    done = run_pytest("", tmp_path)
    assert done.returncode == 0, done.stdout


DECORATED = """
import pytest
from expcore.conformance import conformance, load_kind

@conformance(lambda eval_result: True, kind="predicate")
def test_good(clause):
    clause()

@conformance(factory=lambda: lambda r: r["loss"] > 0, kind="predicate", expected_failures={"PRE-003": "why"})
def test_bad(clause):
    clause()
"""


def test_the_decorator_makes_a_test_a_clause(tmp_path):
    (tmp_path / "test_it.py").write_text(DECORATED)
    done = run_pytest("", tmp_path, plugin=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "PASSED test_it.py::test_good[PRE-013]" in lines
    assert "PASSED test_it.py::test_good[floor]" in lines
    assert any(line.startswith("XFAIL test_it.py::test_bad[PRE-003] - PRE-003 MUST") for line in lines)
    assert any(line.startswith("FAILED test_it.py::test_bad[PRE-004]") for line in lines)


def test_the_decorator_refuses_what_check_refuses():
    with pytest.raises(InvalidArgument, match="either a component or factory"):
        conformance(kind="predicate")
    with pytest.raises(TypeError):
        conformance(Path, kind="predicate", on_fale="x")
