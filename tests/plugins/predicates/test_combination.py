"""all_of, any_of and negate: truth tables, what parts are given, what is refused."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from expcore.errors import InvalidArgument, InvalidType
from expcore.types import Evaluation
from expcore_plugins.predicates.all_of import AllOf
from expcore_plugins.predicates.any_of import AnyOf
from expcore_plugins.predicates.negate import Negate
from expcore_plugins.predicates.until_metric import UntilMetric
from expcore_plugins.predicates.until_step import UntilStep


def says(verdict):
    return lambda eval_result: verdict


@pytest.mark.parametrize(
    "verdicts", [v for n in (1, 2, 3) for v in itertools.product([True, False], repeat=n)]
)
def test_all_any_and_their_negations_follow_their_names(verdicts):
    parts = [says(v) for v in verdicts]
    assert AllOf(*parts)(None) is all(verdicts)
    assert AnyOf(*parts)({}) is any(verdicts)
    assert Negate(AllOf(*parts))({"loss": 1.0}) is not all(verdicts)
    assert Negate(Negate(AnyOf(*parts)))(None) is any(verdicts)


@pytest.mark.parametrize(("truthy", "verdict"), [(1, True), ([], False), ("go", True)])
def test_verdicts_of_parts_become_plain_booleans(truthy, verdict):
    assert AllOf(says(truthy))(None) is verdict
    assert AnyOf(says(truthy))(None) is verdict
    assert Negate(says(truthy))(None) is (not verdict)


@pytest.mark.parametrize("kind", [AllOf, AnyOf])
def test_every_part_is_asked_at_every_look(kind):
    asked = []
    parts = [lambda r, i=i, v=v: asked.append(i) or v for i, v in enumerate([True, False, True, False])]
    kind(*parts)(None)
    assert asked == [0, 1, 2, 3]


@pytest.mark.parametrize("build", [AllOf, AnyOf, Negate, lambda p: AllOf(AnyOf(Negate(p)))])
def test_parts_are_given_path_and_history_only_if_they_name_them(build):
    seen = []

    def plain(eval_result):
        seen.append(eval_result)
        return True

    def with_path(eval_result, checkpoint_path):
        seen.append((eval_result, checkpoint_path))
        return True

    def with_both(eval_result, *, history, checkpoint_path=None):
        seen.append((eval_result, checkpoint_path, history))
        return True

    result, record = {"loss": 1.0}, SimpleNamespace(evaluations=[])
    for part in (plain, with_path, with_both):
        build(part)(result, checkpoint_path="ckpt-1", history=record)
    assert seen == [result, (result, "ckpt-1"), (result, "ckpt-1", record)]


def test_built_ins_inside_decide_from_the_history():
    record = SimpleNamespace(evaluations=[Evaluation("c", 100, {"loss": 0.5, "global_step": 100})])
    assert AllOf(UntilStep(200), UntilMetric("loss", 0.1))(None, history=record) is True
    assert AllOf(UntilStep(100), UntilMetric("loss", 0.1))(None, history=record) is False
    assert AnyOf(UntilStep(100), UntilMetric("loss", 0.1))(None, history=record) is True
    assert Negate(UntilStep(100))(None, history=record) is True


@pytest.mark.parametrize("kind", [AllOf, AnyOf])
def test_none_at_all_is_refused(kind):
    with pytest.raises(InvalidArgument, match=r"predicate '(all|any)_of': of is empty; give it at least one"):
        kind()


@pytest.mark.parametrize("build", [AllOf, AnyOf, Negate])
def test_what_is_no_predicate_is_refused_with_its_place(build):
    with pytest.raises(InvalidType, match=r"of\[0\] is 3; it must be a predicate"):
        build(3)
    with pytest.raises(InvalidType, match=r"of\[0\] is the class UntilStep; .*UntilStep\(\.\.\.\)"):
        build(UntilStep)


def test_the_place_of_a_wrong_part_is_counted_from_zero():
    with pytest.raises(InvalidType, match=r"predicate 'all_of': of\[1\] is None"):
        AllOf(UntilStep(1), None)


def test_they_read_well_and_compare_by_their_parts():
    predicate = AllOf(UntilStep(100), Negate(UntilStep(50)))
    assert repr(predicate) == "AllOf(UntilStep(step=100), Negate(UntilStep(step=50)))"
    assert predicate == AllOf(UntilStep(100), Negate(UntilStep(50)))
    assert predicate != AnyOf(UntilStep(100), Negate(UntilStep(50)))
    assert len({predicate, AllOf(UntilStep(100), Negate(UntilStep(50)))}) == 1
    assert predicate.of == (UntilStep(100), Negate(UntilStep(50)))
