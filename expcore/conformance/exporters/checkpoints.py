"""Clauses of the checkpoint that is exported, the model that is lent, and the training that goes on."""

from __future__ import annotations

import math
import os
import random
from typing import Any

import numpy as np

from expcore.calling import names
from expcore.conformance.exporters.case import FORMAT, ExporterCase, Written, clauses, forms
from expcore.conformance.exporters.seen import contents
from expcore.conformance.exporters.trained import STEPS, Trained


@clauses.must(
    6, after=(5, 22), hint="pass checkpoint_path on: estimator.restored(checkpoint_path); keep nothing"
)
def exports_the_checkpoint_that_it_is_given(case: ExporterCase) -> None:
    """It exports the checkpoint that it is given, each time anew, also where there are newer ones."""
    trained, component = case.trained(), case.make()
    if forms(component) == {FORMAT}:
        found = []
        for n in (0, 1):
            before = len(trained.watch.asked)
            place = case.place(str(n))
            case.put(component, trained, n, place)
            found.append(Written(place, n, trained.watch.asked[before:]))
    else:
        found = case.put_all(component, trained, case.place())
    if not any(written.asked for written in found):  # it reads files itself, if it needs the model at all
        seen = [contents(written.place) for written in found]
        case.require(
            len(found) < 2 or seen[0] != seen[1], "it wrote the same for two checkpoints and their results"
        )
        return
    for written in found:
        wanted = os.path.realpath(trained.rounds[written.n].path)
        asked = [path and os.path.realpath(path) for path in written.asked]
        case.require(
            asked and set(asked) == {wanted},
            f"given {wanted}, it asked the estimator for {written.asked or 'nothing'} (None: the latest)",
            "the checkpoint that was given",
        )


@clauses.must(7, after=(5,), forms=(FORMAT,), hint="give checkpoint_path the default None and pass it on")
def exports_the_latest_checkpoint_where_none_is_given(case: ExporterCase) -> None:
    """It exports the latest checkpoint where it is given None."""
    trained, component = case.trained(), case.make()
    case.place().mkdir()
    offered: dict[str, Any] = {"checkpoint_path": None, "eval_result": dict(trained.rounds[2].result)}
    given = {name: value for name, value in offered.items() if names(component.write, name)}
    with case.no_error("write with checkpoint_path=None"):
        component.write(trained.estimator, str(case.place()), **given)
    latest = os.path.realpath(trained.rounds[2].path)
    wrong = [path for path in trained.watch.asked if path and os.path.realpath(path) != latest]
    case.require(not wrong, f"it asked the estimator for {wrong}", f"{latest}, or None")
    case.require(contents(case.place()), "it wrote nothing")


@clauses.must(8, after=(5, 22), hint="let errors through: no `except Exception` around the export")
def raises_what_keeps_it_from_exporting(case: ExporterCase) -> None:
    """It raises where the checkpoint cannot be read, and does not write or decline as if nothing were."""
    trained, component = case.trained(), case.make()
    found = case.put_all(component, trained, case.place("whole"))
    if not found[0].asked and not (
        forms(component) == {FORMAT} and names(component.write, "checkpoint_path")
    ):
        return  # it does not need the model
    again, n = case.trained("again"), found[0].n
    again.remove(n)
    told = None
    try:
        case.put(case.make(), again, n, case.place("broken"))
    except Exception as error:
        told = error
    case.require(told is not None, f"{again.rounds[n].path} is gone, and it raised nothing", "an error")


@clauses.must(14, after=(5, 22), hint="work on a copy: np.array(weights), keras.models.clone_model(model)")
def leaves_the_model_that_it_is_lent_as_it_is(case: ExporterCase) -> None:
    """It leaves the model that it is lent as it is: weights, and which of them are trained."""
    trained = case.trained()
    case.put_all(case.make(), trained, case.place())
    case.require(not trained.watch.changed, f"it changed {', '.join(trained.watch.changed)}")


@clauses.must(15, after=(5, 14), page="exporters.md#formats", hint="use the model inside `with` only")
def lets_training_go_on_as_if_nothing_had_been_exported(case: ExporterCase) -> None:
    """It lets training go on as if nothing had been exported."""
    results = []
    for name in ("without", "with"):
        trained = case.trained(name)
        _train(case, trained)
        if name == "with":
            case.put_all(case.make(), trained, case.place())
        _train(case, trained)
        data = case.setting.eval_input_fn
        results.append(dict(trained.estimator.evaluate(data, steps=2)))
    without, found = results
    wrong = [k for k, value in without.items() if not _same(value, found.get(k))]
    case.require(
        not wrong,
        "; ".join(f"after {STEPS} more steps {k} is {found.get(k)}, and {without[k]} without" for k in wrong),
    )


def _train(case: ExporterCase, trained: Trained) -> None:
    trained.estimator.train(case.setting.train_input_fn, steps=STEPS)


def _same(one: Any, other: Any) -> bool:
    try:
        one, other = float(one), float(other)
    except (TypeError, ValueError):
        return bool(one == other)
    return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))


@clauses.must(
    16, after=(5, 22), hint="use numpy.random.default_rng(seed), subprocess(cwd=, env=), full paths"
)
def leaves_the_process_as_it_is(case: ExporterCase) -> None:
    """It leaves the process as it is: working directory, environment, random numbers of Python and NumPy.

    They are the training's as well. Making it leaves them too.
    """
    trained = case.trained()
    drawn, outside = (random.getstate(), np.random.get_state()), (os.getcwd(), dict(os.environ))
    try:
        seeded = _seeded(123456789)
        component = case.make()
        made = _random_state()
        case.put_all(component, trained, case.place("first"))  # the estimator may draw some on its first use
        before = _seeded(987654321)
        case.put_all(component, trained, case.place("second"))
        after = _random_state()
    finally:
        random.setstate(drawn[0])
        np.random.set_state(drawn[1])
    case.require(os.getcwd() == outside[0], f"the working directory is {os.getcwd()}, and was {outside[0]}")
    changed = sorted({name for name, _ in outside[1].items() ^ dict(os.environ).items()})
    case.require(not changed, f"variables of the environment that changed: {', '.join(changed)}")
    case.require(seeded == made, "making it changed the state of Python's random or of numpy.random")
    case.require(before == after, "it changed the state of Python's random or of numpy.random")


def _seeded(seed: int) -> str:
    """Returns the state that this seed gives."""
    random.seed(seed)
    np.random.seed(seed)
    return _random_state()


def _random_state() -> str:
    kind, numbers, *rest = np.random.get_state()
    return repr((random.getstate(), kind, np.asarray(numbers).tobytes(), rest))


@clauses.must(17, after=(5, 22), hint="copy it before changing it: dict(eval_result)")
def leaves_the_result_as_it_is(case: ExporterCase) -> None:
    """It does not change the eval result that it is given, which the exporters after it see too."""
    trained, component = case.trained(), case.make()
    for n, made in enumerate(trained.rounds):
        given = dict(made.result)
        case.put(component, trained, n, case.place(f"artefact-{n}"), given)
        case.require(given == made.result, f"{made.result} became {given}")
