"""The engine of conformance: order, prerequisites, capabilities, expected failures, the floor, messages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.conformance import Case, ConformanceError, Kind, Sample, check, load_kind
from expcore.conformance.attempt import attempt
from expcore.conformance.case import MAX_LOOKS, MAX_SLEEPS, PatientClock
from expcore.conformance.clause import Clauses, Runaway, Violation
from expcore.conformance.suite import Suite
from expcore.errors import InvalidArgument, InvalidType


class Thing:
    """What is tried here: each fault is a word."""

    def __init__(self, *faults, capabilities=None):
        self.faults = set(faults)
        if capabilities is not None:
            self.capabilities = capabilities


tried = []


def a_kind():
    clauses = Clauses("THG", page="concepts.md")

    def of(number, word, add=clauses.must, **about):
        def test(case):
            tried.append(word)
            case.require(word not in case.make().faults, f"{word} is wrong", f"{word} is right")

        test.__doc__ = f"It is right in {word}.\n\nMore about\n{word}."
        add(number, hint=f"mend {word}", **about)(test)

    of(1, "one")
    of(2, "two", after=(1,))
    of(3, "three", add=clauses.should, after=(2,))
    of(4, "four", capability="fly")
    of(5, "five", forms=("round",))
    of(6, "six", needs=("no_such_library",))
    forms = lambda thing: frozenset({"round"} if "round" in getattr(thing, "faults", ()) else ())  # noqa: E731
    return Kind("thing", Case, clauses, {"fly": "it flies"}, forms)


def report(*faults, only=None, capabilities=None, **sample):
    tried.clear()
    given = Sample(Thing(*faults, capabilities=capabilities), **sample)
    return Suite(a_kind(), given, "the thing").report(only)


def statuses(found):
    return {result.id[-1]: result.status for result in found.results}


# --- statuses -------------------------------------------------------------------------------------------


def test_everything_that_applies_is_tried_once_and_in_the_order_of_the_ids():
    found = report("round", capabilities={"fly"})
    assert statuses(found) == dict.fromkeys("12345", "passed") | {"6": "skipped"}
    assert tried == ["one", "two", "three", "four", "five"]
    assert [r.id for r in found.results] == sorted(r.id for r in found.results)
    assert found.ok


def test_a_clause_for_another_form_is_not_there_at_all():
    assert statuses(report(capabilities={"fly"})).keys() == set("12346")


def test_a_failed_prerequisite_blocks_what_depends_on_it_however_far():
    found = report("one", capabilities={"fly"})
    assert statuses(found) == {"1": "failed", "2": "blocked", "3": "blocked", "4": "passed", "6": "skipped"}
    assert tried == ["one", "four"]
    blocked = found.results[1].message
    assert "THG-001 did not pass" in blocked


def test_a_should_that_fails_is_told_and_counts_only_where_it_is_asked_to():
    found = report("three")
    assert statuses(found)["3"] == "failed"
    assert [r.id for r in found.failures] == ["THG-003"]
    assert found.ok
    found.raise_for_failures()
    assert not found.passes("should")
    with pytest.raises(ConformanceError, match="THG-003 SHOULD"):
        found.raise_for_failures("should")


def test_what_is_not_declared_is_skipped_and_noted_where_it_works():
    found = {r.id[-1]: r for r in report().results}
    assert found["4"].status == "skipped"
    assert "works though it is not declared" in found["4"].note
    assert "works though it is not declared" in found["4"].message
    found = {r.id[-1]: r for r in report("four").results}
    assert (found["4"].status, found["4"].note) == ("skipped", "")
    assert "'fly' is not declared" in found["4"].message


def test_what_is_declared_has_to_work():
    found = report("four", capabilities={"fly"})
    assert statuses(found)["4"] == "failed"
    assert not found.ok


def test_capabilities_of_the_sample_count_instead_of_the_components_own():
    assert statuses(Suite(a_kind(), Sample(Thing(), capabilities=["fly"]), "it").report())["4"] == "passed"
    silent = Sample(Thing(capabilities={"fly"}), capabilities=())
    assert statuses(Suite(a_kind(), silent, "it").report())["4"] == "skipped"


def test_a_capability_that_does_not_exist_is_an_error_with_the_nearest():
    with pytest.raises(InvalidArgument, match=r"'flyy' is not among 'fly'; did you mean 'fly'"):
        report(capabilities={"flyy"})
    with pytest.raises(InvalidType, match="must be a set of strings"):
        report(capabilities="fly")


# --- expected failures ------------------------------------------------------------------------------------


def test_an_expected_failure_is_no_failure_and_has_its_reason():
    found = report("two", expected_failures={"THG-002": "no time yet"})
    assert statuses(found)["2"] == "xfail"
    assert "no time yet" in found.results[1].message
    assert found.ok


def test_what_an_expected_failure_blocks_is_told_and_does_not_count_for_the_floor():
    found = report("one", expected_failures={"THG-001": "no time yet"})
    assert statuses(found) == {"1": "xfail", "2": "blocked", "3": "blocked", "4": "skipped", "6": "skipped"}
    assert found.ok
    assert "1 xfail, 2 skipped, 2 blocked" in found.summary


def test_an_expected_failure_that_passes_is_a_failure():
    found = report(expected_failures={"THG-002": "no time yet"})
    assert statuses(found)["2"] == "failed"
    assert "though it was expected to fail (no time yet)" in found.failures[0].message
    assert not found.ok


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"THG-020": "why"}, "'THG-020' is no clause of such a thing; did you mean 'THG-"),
        ({"THG-005": "why"}, "'THG-005' is no clause of such a thing"),
        ({"THG-002": " "}, "'THG-002' has no reason"),
    ],
)
def test_an_expected_failure_of_nothing_or_without_reason_is_an_error(expected, message):
    with pytest.raises(InvalidArgument, match=message):
        report(expected_failures=expected)


# --- the floor --------------------------------------------------------------------------------------------


def test_the_report_says_how_many_of_how_many_ran():
    found = report("three")
    assert (found.ran, found.total, found.floor) == (3, 5, 2)
    assert found.summary == "the thing: ran 3 of 5 clauses (2 passed, 1 failed, 2 skipped)"


def test_a_must_that_was_skipped_by_itself_leaves_the_report_below_the_floor():
    clauses = Clauses("THG", page="concepts.md")

    @clauses.must(1, hint="give one")
    def finds_nothing(case):
        """It is tried."""
        case.skip("there is nothing to try")

    found = Suite(Kind("thing", Case, clauses), Sample(Thing()), "it").report()
    assert found.below_floor
    assert not found.ok
    message = r"at least 1 clauses have to be tried; not tried: THG-001 \(there is nothing to try\)"
    with pytest.raises(ConformanceError, match=message):
        found.raise_for_failures()


def test_what_a_should_blocks_leaves_the_report_below_the_floor():
    clauses = Clauses("THG", page="concepts.md")

    @clauses.should(1, hint="mend")
    def fails(case):
        """It is nice."""
        case.require(False, "it is not")

    @clauses.must(2, hint="mend", after=(1,))
    def passes(case):
        """It works."""

    found = Suite(Kind("thing", Case, clauses), Sample(Thing()), "it").report()
    assert statuses(found) == {"1": "failed", "2": "blocked"}
    assert not found.ok
    assert "not tried: THG-002" in found.untried


def test_nothing_to_try_is_a_failure():
    found = Suite(Kind("thing", Case, Clauses("THG", page="x.md")), Sample(Thing()), "it").report()
    assert not found.ok
    assert "nothing to try" in found.summary


def test_a_choice_of_clauses_has_no_floor_but_one():
    found = report("one", only=["THG-004"], capabilities={"fly"})
    assert statuses(found) == {"4": "passed"}
    assert found.ok
    assert not report(only=["THG-006"]).ok
    assert not report(only=[]).ok
    with pytest.raises(InvalidArgument, match="has none of that id; did you mean 'THG-"):
        report(only=["THG-040"])


def test_a_sample_that_needs_what_is_not_here_is_not_tried_and_says_why():
    found = report(needs=("no_such_library",))
    assert set(statuses(found).values()) == {"skipped"}
    assert "it needs no_such_library, which is not here" in found.results[0].message
    assert (found.missing, found.ran, found.floor) == (("no_such_library",), 0, 0)
    assert found.ok
    assert tried == []


def test_what_a_hook_requires_is_needed_too():
    class Hook(Thing):
        requires = "no_such_library"

    found = Suite(a_kind(), Sample(Hook()), "it").report()
    assert found.missing == ("no_such_library",)
    assert found.ran == 0


# --- messages ---------------------------------------------------------------------------------------------


def test_the_message_of_a_failure_names_clause_component_seen_expected_hint_and_page():
    (failure,) = report("two", only="THG-002").failures
    for part in (
        "THG-002 MUST: It is right in two",
        "the thing",
        "two is wrong",
        "two is right",
        "mend two",
        "docs/conformance-clauses.md#thg-002",
    ):
        assert part in failure.message
    assert (failure.level, failure.title) == ("MUST", "It is right in two")


def test_all_failures_are_in_the_message_not_only_the_first():
    with pytest.raises(ConformanceError) as caught:
        report("two", "round", "five").raise_for_failures()
    assert "THG-002" in str(caught.value)
    assert "THG-005" in str(caught.value)
    assert isinstance(caught.value, AssertionError)


def kind_of(test):
    test.__doc__ = "It works."
    clauses = Clauses("THG", page="concepts.md")
    clauses.must(1, hint="mend it")(test)
    return Kind("thing", Case, clauses)


def failing(error):
    def test(_case):
        raise error

    return test


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3), Runaway("it waited for ever")])
def test_whatever_is_raised_is_a_failure_with_its_place(error):
    (result,) = Suite(kind_of(failing(error)), Sample(Thing()), "it").report().results
    assert result.status == "failed"
    assert str(error) in result.message
    assert isinstance(error, Runaway) or Path(__file__).name in result.message


def test_control_c_ends_the_suite():
    with pytest.raises(KeyboardInterrupt):
        Suite(kind_of(failing(KeyboardInterrupt())), Sample(Thing()), "it").report()


def test_what_raises_is_told_to_be_mended_first():
    (failure,) = Suite(kind_of(failing(KeyError("x"))), Sample(Thing()), "it").report().failures
    assert "mend:      first what raises, or bring what it needs as a sample; mend it" in failure.message


def test_a_component_that_ends_the_process_or_cannot_be_looked_at_fails():
    def leaves():
        raise SystemExit(0)

    class Untouchable:
        def __getattr__(self, name):
            raise RuntimeError(f"do not touch {name}")

    for sample in (Sample(factory=leaves), Sample(factory=Untouchable)):
        kind = load_kind("predicate")
        found = Suite(kind, sample, "it").report()
        assert found.results[0].status == "failed"
        assert not found.ok
    assert "do not touch" in found.results[0].message


def test_a_clause_that_does_not_end_is_ended():
    def hangs(_folder):
        while True:
            pass

    found = attempt(hangs, limit_secs=0.05)
    assert (found.status, found.reason) == ("failed", "it did not come to an end within 0.05 seconds")
    assert attempt(lambda folder: None).status == "passed"


# --- cases ------------------------------------------------------------------------------------------------


def test_a_component_is_copied_for_each_clause_and_a_factory_called():
    one = Thing()
    assert Sample(one).make() is not one
    assert Sample(Thing).make().faults == set()
    made = [Sample(factory=Thing).make() for _ in range(2)]
    assert made[0] is not made[1]
    named = Sample(factory=lambda model_dir: model_dir)
    assert named.make(model_dir="x", config=1) == "x"
    assert Sample(os).make() is os  # a module cannot be copied
    with pytest.raises(InvalidArgument, match="neither component nor factory"):
        Sample().make()


def test_directory_and_environment_are_put_back_after_a_clause(tmp_path):
    def messy(case):
        os.chdir(case.folder)
        os.environ["EXPCORE_USE"] = "exporters/x=y"
        assert list(case.folder.iterdir()) == []
        folders.append(case.folder)

    folders = []
    before = os.getcwd(), dict(os.environ)
    assert Suite(kind_of(messy), Sample(Thing()), "it").report().ok
    assert (os.getcwd(), dict(os.environ)) == before
    assert not folders[0].exists()


def test_the_clock_of_the_suite_jumps_and_ends_who_waits_for_ever():
    clock = PatientClock()
    clock.sleep(5)
    assert clock.monotonic() == 5
    for _ in range(MAX_SLEEPS - 1):
        clock.sleep(0)
    with pytest.raises(Runaway, match=f"waited {MAX_SLEEPS} times"):
        clock.sleep(0)


def test_an_error_where_none_may_be_is_a_violation(tmp_path):
    case = Case(Sample(Thing()), tmp_path)
    with pytest.raises(Violation, match="asked, it raised ValueError: no; expected: an answer"):  # noqa: SIM117
        with case.no_error("asked, it", "an answer"):
            raise ValueError("no")
    assert case.raised(lambda: None, ValueError) is None
    assert isinstance(case.raised(lambda: int("x"), ValueError), ValueError)
    with pytest.raises(Violation, match=r"TypeError.*expected: ValueError, or no error"):
        case.raised(lambda: int([]), ValueError)


def test_the_clock_of_the_suite_ends_who_waits_by_looking_at_it():
    clock = PatientClock()
    for _ in range(3):
        for _ in range(MAX_LOOKS):
            clock.time()
        clock.sleep(1)
    for _ in range(MAX_LOOKS):
        clock.monotonic()
    with pytest.raises(Runaway, match=f"looked at the clock {MAX_LOOKS} times"):
        clock.time()


# --- clauses and kinds ------------------------------------------------------------------------------------


def test_an_id_belongs_to_one_promise_and_a_clause_has_docstring_and_hint():
    clauses = Clauses("THG", page="concepts.md")

    def documented(case):
        """It is."""

    clauses.must(1, hint="x")(documented)
    with pytest.raises(InvalidArgument, match="THG-001: there are two"):
        clauses.should(1, hint="x")(documented)
    with pytest.raises(InvalidArgument, match="lacks a docstring or a hint"):
        clauses.must(2)(documented)
    with pytest.raises(InvalidArgument, match="lacks a docstring or a hint"):
        clauses.must(3, hint="x")(lambda case: None)


def test_the_docstring_gives_title_and_explanation():
    clause = a_kind().clause("THG-001")
    assert (clause.title, clause.about) == ("It is right in one", "More about one.")


@pytest.mark.parametrize("name", ["predicate", "predicates"])
def test_a_kind_is_found_by_singular_and_plural(name):
    assert load_kind(name).name == "predicate"


def test_an_unknown_kind_is_an_error_with_the_nearest():
    with pytest.raises(InvalidArgument, match=r"kind 'exprter'.*did you mean 'exporter'"):
        load_kind("exprter")


# --- check ------------------------------------------------------------------------------------------------


def goes_on(eval_result):
    return True


def stops_on_none(eval_result):
    return eval_result["loss"] > 0


def test_check_returns_a_report_whose_results_have_id_status_level_and_message():
    found = check(goes_on, kind="predicate")
    assert found.ok
    assert {r.status for r in found.results} == {"passed"}
    assert all(r.id.startswith("PRE-") and r.level in ("MUST", "SHOULD") and r.message for r in found.results)


def test_check_raises_with_every_failure_or_collects_them():
    with pytest.raises(ConformanceError, match="PRE-003"):
        check(stops_on_none, kind="predicate")
    found = check(stops_on_none, kind="predicate", on_fail="collect")
    assert {r.id for r in found.failures} == {"PRE-003", "PRE-004"}
    assert found.component.endswith("stops_on_none")


def test_check_takes_a_factory_a_sample_and_a_label():
    assert check(factory=lambda: goes_on, kind="predicate").ok
    found = check(Sample(stops_on_none), kind="predicate", on_fail="collect", label="mine")
    assert found.component == "mine"
    expected = {"PRE-003": "why", "PRE-004": "why"}
    assert check(Sample(stops_on_none), kind="predicate", expected_failures=expected).counts["xfail"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "predicate"}, "either a component or factory="),
        ({"component": goes_on, "factory": goes_on, "kind": "predicate"}, "either a component or factory="),
        ({"component": goes_on, "kind": "predicat"}, "did you mean 'predicate'"),
        ({"component": goes_on, "kind": "predicate", "on_fail": "ignore"}, "on_fail='ignore'"),
        ({"component": goes_on, "kind": "predicate", "only": ["PRE-999"]}, "has none of that id"),
        ({"component": goes_on, "kind": None}, "kind is None"),
        ({"component": goes_on, "kind": ["predicate"]}, "kind is"),
        ({"component": goes_on, "kind": "predicate", "only": 3}, "only is 3"),
        ({"component": goes_on, "kind": "predicate", "only": [None]}, "has none of that id"),
        ({"component": goes_on, "kind": "predicate", "expected_failures": ["PRE-003"]}, "must be a mapping"),
        ({"component": goes_on, "kind": "predicate", "expected_failures": {3: "x"}}, "is no clause"),
        ({"component": goes_on, "kind": "schedule", "options": 3}, "options is 3"),
        ({"factory": 3, "kind": "predicate"}, "factory is 3; it must be a function"),
    ],
)
def test_check_refuses_what_it_cannot_use(given, message):
    component = given.pop("component", None)
    with pytest.raises((InvalidArgument, InvalidType), match=message):
        check(component, **given)
