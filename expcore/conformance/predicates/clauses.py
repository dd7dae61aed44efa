"""The promises of a predicate."""

from __future__ import annotations

import inspect
from dataclasses import replace
from numbers import Real
from types import MappingProxyType

from expcore.conformance.clause import Clauses
from expcore.conformance.predicates.case import PredicateCase
from expcore.conformance.predicates.scripted import LONG
from expcore.conformance.traces import traced

clauses = Clauses("PRE", page="predicates.md#what-can-be-relied-on")

ASKED = 120
"""So often the same question is put: what ends after a hundred calls is to be seen too."""

AGAIN = 4
"""So often a question is put to the one that is asked all along; schedules ask once, or a few times."""


@clauses.must(1, hint="give an object with __call__, or a function; an entry point names what makes one")
def can_be_made_and_called(case: PredicateCase) -> None:
    """It can be made without arguments, and what is made can be called."""
    predicate = case.make()
    case.require(callable(predicate), f"{predicate!r}, which cannot be called", "a callable")
    case.require(not isinstance(predicate, type), f"the class {predicate!r}", "an object of it")


@clauses.must(2, after=(1,), hint="take (eval_result), and of checkpoint_path and history what is needed")
def takes_what_a_schedule_gives(case: PredicateCase) -> None:
    """It takes the result as its first argument, and needs but ``checkpoint_path`` and ``history``."""
    predicate = case.make()
    missing = case.required(predicate)
    case.require(not missing, f"it needs {', '.join(missing)}, which no schedule gives")
    try:
        found = inspect.signature(predicate).parameters.values()
    except (TypeError, ValueError):  # a function of C may have none; then the next clauses tell
        return
    takes = any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in found)
    case.require(takes, "it takes no positional argument", "the result comes as the first one")


@clauses.must(3, after=(2,), hint="decide what None means: nothing is known, so mostly return True")
def answers_before_the_first_evaluation(case: PredicateCase) -> None:
    """It answers before the first evaluation, when it is asked with None."""
    case.verdict(case.make(), case.moments()[0])


@clauses.must(4, after=(2,), hint="treat {} as 'nothing new'; with a history decide from that")
def answers_after_a_round_without_a_result(case: PredicateCase) -> None:
    """It answers after a round without a new result, when it is asked with ``{}``."""
    moments = case.moments()
    empty = next(m for m in moments if m.eval_result == {})
    case.verdict(case.make(), empty)
    case.verdict(case.make(), replace(empty, history=moments[0].history, checkpoint_path=None))


@clauses.must(5, after=(2,), hint="look at the defaults, or give estimator= whose results have the metric")
def answers_after_every_evaluation(case: PredicateCase) -> None:
    """It answers after every evaluation, where metrics get better, stay and get worse.

    The training is real, the numbers are not. The results have the usual metrics, those of ``estimator=``
    where one is given.
    """
    predicate = case.make()
    for moment in case.moments():
        if moment.eval_result:
            case.verdict(predicate, moment)


@clauses.must(6, after=(3, 4, 5), hint="return True or False; a path without return gives None")
def answers_with_a_truth_value(case: PredicateCase) -> None:
    """Its answer is True or False, never None or something else that is only taken for one."""
    predicate = case.make()
    for moment in case.moments():
        answer = case.ask(predicate, moment)
        good = isinstance(answer, bool) or type(answer).__name__ in ("bool_", "bool")
        case.require(good, f"asked {moment.told}, it returned {answer!r}", "True or False")


@clauses.must(7, after=(3, 4, 5), hint="compute from the arguments alone; count nothing, draw nothing")
def answers_the_same_question_alike(case: PredicateCase) -> None:
    """Asked twice with the same result and history, it answers the same."""
    for moment in case.moments():
        predicate = case.make()
        answers = [case.verdict(predicate, moment) for _ in range(ASKED)]
        at = next((n for n, answer in enumerate(answers) if answer != answers[0]), 0)
        case.require(
            not at, f"asked {moment.told}, it first answered {answers[0]}, the {at + 1}th time {answers[at]}"
        )


@clauses.must(8, after=(3, 4, 5), hint="keep nothing on the object; name `history` and decide from it")
def decides_alike_after_a_restart(case: PredicateCase) -> None:
    """A fresh one decides as the one that was asked all along.

    A run can be interrupted between any two evaluations; whoever starts again knows the log and nothing else.
    """
    veteran = case.make()
    for moment in case.moments(LONG):
        wanted = case.verdict(case.make(), moment)
        for _ in range(AGAIN):
            found = case.verdict(veteran, moment)
            told = f"the one that was asked all along answers {found}, a fresh one {wanted}"
            case.require(found == wanted, f"{moment.told}, {told}", "the same answer")


@clauses.must(9, after=(3, 4, 5), hint="copy the result before changing it: dict(eval_result)")
def leaves_the_result_as_it_is(case: PredicateCase) -> None:
    """It does not change the result that it is given."""
    predicate = case.make()
    for moment in case.moments():
        if moment.eval_result is None:
            continue
        given = dict(moment.eval_result)
        case.verdict(predicate, replace(moment, eval_result=given))
        case.require(given == moment.eval_result, f"{moment.eval_result} became {given}")


@clauses.must(10, after=(3, 4, 5), hint="use only what every mapping has: [], get, in, items")
def takes_any_mapping(case: PredicateCase) -> None:
    """It takes any mapping as the result, also one that cannot be changed, and answers as for a dict."""
    for moment in case.moments():
        if moment.eval_result is None:
            continue
        wanted = case.verdict(case.make(), moment)
        found = case.verdict(case.make(), replace(moment, eval_result=MappingProxyType(moment.eval_result)))
        case.require(found == wanted, f"{found} for a read-only mapping, {wanted} for a dict")


@clauses.must(11, after=(3, 4, 5), hint="use float(value) where a number is needed, not isinstance")
def takes_numpy_numbers(case: PredicateCase) -> None:
    """It takes metrics that are NumPy numbers, and answers as for Python's.

    ``evaluate`` of many estimators gives them.
    """
    import numpy as np

    for moment in case.moments():
        if not moment.eval_result:
            continue
        numbers = {k: np.float64(v) if isinstance(v, Real) else v for k, v in moment.eval_result.items()}
        numbers["global_step"] = np.int64(moment.eval_result["global_step"])
        wanted = case.verdict(case.make(), moment)
        found = case.verdict(case.make(), replace(moment, eval_result=numbers))
        case.require(found == wanted, f"{found} for NumPy's numbers, {wanted} for Python's")


@clauses.must(12, after=(3, 4, 5), hint="compare so that NaN is never better; convert no metric to an int")
def answers_when_a_metric_is_nan(case: PredicateCase) -> None:
    """It answers when metrics are NaN or infinite, as after a training that diverged."""
    for moment in case.moments():
        for value in (float("nan"), float("inf"), float("-inf")):
            if moment.eval_result:
                spoilt = {
                    k: value if isinstance(v, Real) and k != "global_step" else v
                    for k, v in moment.eval_result.items()
                }
                case.verdict(case.make(), replace(moment, eval_result=spoilt))


@clauses.must(13, after=(3, 4, 5), hint="a predicate is asked at any time, by several processes: only read")
def has_no_side_effects(case: PredicateCase) -> None:
    """It changes no file, neither environment, working directory nor signal handlers, and no random state.

    Files are looked at below the model directory, the working directory, the home directory and the one for
    temporary files. The random states are the global ones of Python and NumPy.
    """
    moments = case.moments()
    with traced(case.folder) as traces:
        for moment in moments:
            case.verdict(case.make(), moment)
    case.require(not traces.files, f"files written, touched or removed: {', '.join(traces.files)}", "none")
    case.require(not traces.process, "; ".join(traces.process), "everything as before")


@clauses.must(14, after=(3, 4, 5), hint="where checkpoint_path is None decide from the result")
def answers_without_a_checkpoint(case: PredicateCase) -> None:
    """It answers where a result comes without a checkpoint: ``checkpoint_path`` is None.

    Some estimators do not tell their checkpoints.
    """
    for moment in case.moments():
        case.verdict(case.make(), replace(moment, checkpoint_path=None))
