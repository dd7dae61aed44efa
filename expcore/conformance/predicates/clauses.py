"""The promises of a predicate."""

from __future__ import annotations

import inspect
import os
from dataclasses import replace
from types import MappingProxyType

from expcore.conformance.clause import Clauses
from expcore.conformance.predicates.case import PredicateCase

clauses = Clauses("PRE", page="predicates.md#what-can-be-relied-on")


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


@clauses.must(5, after=(2,), hint="look at the parameters' defaults and at what the result really holds")
def answers_after_every_evaluation(case: PredicateCase) -> None:
    """It answers after every evaluation of a real training."""
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
    predicate = case.make()
    for moment in case.moments():
        answers = [case.verdict(predicate, moment) for _ in range(8)]
        case.require(len(set(answers)) == 1, f"asked 8 times {moment.told}, it answered {answers}")


@clauses.must(8, after=(3, 4, 5), hint="keep nothing on the object; name `history` and decide from it")
def decides_alike_after_a_restart(case: PredicateCase) -> None:
    """A fresh one decides as the one that was asked all along.

    A run can be interrupted between any two evaluations; whoever starts again knows the log and nothing else.
    """
    veteran = case.make()
    for moment in case.moments():
        fresh = case.make()
        before, after = case.verdict(veteran, moment), case.verdict(fresh, moment)
        case.require(
            before == after,
            f"{moment.told}, the one that was asked all along answers {before}, a fresh one {after}",
            "the same answer",
        )


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
        numbers: dict[str, object] = {name: np.float64(value) for name, value in moment.eval_result.items()}
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
                spoilt = {k: v if k == "global_step" else value for k, v in moment.eval_result.items()}
                case.verdict(case.make(), replace(moment, eval_result=spoilt))


@clauses.must(13, after=(3, 4, 5), hint="a predicate is asked at any time, by several processes: only read")
def has_no_side_effects(case: PredicateCase) -> None:
    """It writes no file below the working and the model directory, and leaves the environment alone."""
    moments = case.moments()
    work = case.folder / "work"
    work.mkdir()
    os.chdir(work)

    def state() -> dict[str, int]:
        return {str(p): p.stat().st_size for p in case.folder.rglob("*") if p.is_file()}

    before, environ = state(), dict(os.environ)
    for moment in moments:
        case.verdict(case.make(), moment)
    after = state()
    case.require(
        after == before, f"files written or changed: {sorted(set(after.items()) ^ set(before.items()))}"
    )
    case.require(dict(os.environ) == environ, "it changed the environment")


@clauses.must(14, after=(3, 4, 5), hint="where checkpoint_path is None decide from the result")
def answers_without_a_checkpoint(case: PredicateCase) -> None:
    """It answers where a result comes without a checkpoint: ``checkpoint_path`` is None.

    Some estimators do not tell their checkpoints.
    """
    for moment in case.moments():
        case.verdict(case.make(), replace(moment, checkpoint_path=None))
