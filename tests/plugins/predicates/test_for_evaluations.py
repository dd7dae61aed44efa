"""for_evaluations: counts the recorded evaluations, one a checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expcore.errors import InvalidArgument
from expcore.types import Evaluation
from expcore_plugins.predicates.for_evaluations import ForEvaluations


def history(n):
    return SimpleNamespace(evaluations=[Evaluation(f"c{i}", i, {"global_step": i}) for i in range(n)])


@pytest.mark.parametrize("result", [None, {}, {"loss": 1.0}])
@pytest.mark.parametrize(("made", "verdict"), [(0, True), (2, True), (3, False), (4, False)])
def test_goes_on_until_so_many_are_recorded(result, made, verdict):
    assert ForEvaluations(3)(result, history=history(made)) is verdict


@pytest.mark.parametrize(
    ("n", "result", "verdict"),
    [(1, None, True), (1, {}, True), (1, {"loss": 1.0}, False), (2, {"loss": 1.0}, True)],
)
def test_without_a_history_a_result_counts_as_one(n, result, verdict):
    assert ForEvaluations(n)(result) is verdict


@pytest.mark.parametrize("n", [0, -1, 1.5, "3", None, True])
def test_a_number_that_is_not_positive_and_whole_is_refused(n):
    with pytest.raises(InvalidArgument, match="predicate 'for_evaluations': n is"):
        ForEvaluations(n)


def test_reads_well():
    assert repr(ForEvaluations(3)) == "ForEvaluations(n=3)"
