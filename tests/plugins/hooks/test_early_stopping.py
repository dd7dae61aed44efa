"""early_stopping: verdicts from the log, when it looks, restarts, and what is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument, InvalidHook, UnknownMetric
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore.types import Evaluation
from expcore_plugins.hooks.early_stopping import EarlyStopping

VALUES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats()), max_size=12)


def evaluations(values, every=10, metric="loss"):
    return [
        Evaluation(f"c{i}", i * every, {metric: v, "global_step": i * every})
        for i, v in enumerate(values, start=1)
    ]


class Log:
    """Evaluates at each save, as train_and_evaluate does: the i-th save gives the i-th value."""

    def __init__(self, values):
        self.values, self.evaluations = list(values), []

    def begin(self, run):
        run.history_source = lambda: self

    def after_save(self, run, checkpoint_path):
        metrics = {"loss": self.values[len(self.evaluations)], "global_step": run.step}
        self.evaluations.append(Evaluation(checkpoint_path, run.step, metrics))


@pytest.mark.parametrize(
    ("arguments", "values", "reason"),
    [
        ({"patience": 1}, [], None),
        ({"patience": 1}, [3.0, 2.0], None),
        (
            {"patience": 1},
            [3.0, 3.0],
            "loss has not improved for 1 evaluations (best 3 at step 10, 3 at step 20)",
        ),
        ({"patience": 2}, [3.0, 4.0], None),
        ({"patience": 2}, [3.0, 4.0, 2.0, 5.0], None),
        (
            {"patience": 2},
            [3.0, math.nan, -math.inf],
            "loss has not improved for 2 evaluations (best 3 at step 10, -inf at step 30)",
        ),
        (
            {"patience": 2},
            [math.nan, math.inf],
            "loss has not improved for 2 evaluations (never finite, inf at step 20)",
        ),
        ({"patience": 1, "min_delta": 1.0}, [3.0, 1.5], None),
        (
            {"patience": 1, "min_delta": 1.0},
            [3.0, 2.0],
            "loss has not improved for 1 evaluations (best 3 at step 10, 2 at step 20)",
        ),
        ({"patience": 1, "mode": "max"}, [2.0, 3.0], None),
        (
            {"patience": 1, "mode": "max"},
            [3.0, 2.0],
            "loss has not improved for 1 evaluations (best 3 at step 10, 2 at step 20)",
        ),
        ({"max_steps_without_improvement": 20}, [3.0, 4.0], None),
        (
            {"max_steps_without_improvement": 20},
            [3.0, 4.0, 3.0],
            "loss has not improved for 20 steps (best 3 at step 10, 3 at step 30)",
        ),
        ({"max_steps_without_improvement": 20}, [3.0, 4.0, 2.0, 5.0], None),
        (
            {"max_steps_without_improvement": 20},
            [math.nan] * 3,
            "loss has not improved for 20 steps (never finite, nan at step 30)",
        ),
        ({"threshold": 1.0}, [3.0, 1.5], None),
        ({"threshold": 1.0}, [3.0, 1.0], "loss = 1 <= threshold 1 at step 20"),
        ({"threshold": 1.0}, [0.5, 3.0], "loss = 0.5 <= threshold 1 at step 10"),
        ({"threshold": 1.0}, [-math.inf, math.nan], None),
        ({"threshold": 2.5, "mode": "max"}, [2.0, 3.0], "loss = 3 >= threshold 2.5 at step 20"),
        ({"threshold": 2.5, "mode": "max"}, [2.0, math.inf], None),
        ({"patience": 1, "min_steps": 30}, [3.0, 3.0], None),
        (
            {"patience": 1, "min_steps": 30},
            [3.0, 3.0, 3.0],
            "loss has not improved for 2 evaluations (best 3 at step 10, 3 at step 30)",
        ),
        ({"threshold": 1.0, "min_steps": 20}, [0.5, 3.0], None),
        ({"threshold": 1.0, "min_steps": 20}, [0.5, 0.25], "loss = 0.25 <= threshold 1 at step 20"),
        ({"threshold": 1.0, "patience": 5}, [3.0, 0.5], "loss = 0.5 <= threshold 1 at step 20"),
        (
            {"threshold": 1.0, "patience": 1},
            [3.0, 4.0],
            "loss has not improved for 1 evaluations (best 3 at step 10, 4 at step 20)",
        ),
    ],
)
def test_the_verdict_names_metric_and_values(arguments, values, reason):
    verdict = EarlyStopping(**arguments).verdict(evaluations(values))
    assert verdict == (None if reason is None else f"early_stopping: {reason}")


def reference(values, patience, lower):
    """Stops when the best of the last ``patience`` values is not better than the best before."""
    if len(values) < patience:
        return False
    key = (lambda v: -v) if lower else (lambda v: v)
    parts = values[-patience:], values[:-patience]
    last, before = ([key(v) for v in part if math.isfinite(v)] for part in parts)
    return not last or (bool(before) and max(last) <= max(before))


@given(VALUES, st.integers(1, 6), st.booleans())
def test_patience_agrees_with_the_best_of_the_last_against_the_best_before(values, patience, lower):
    hook = EarlyStopping("x", mode="min" if lower else "max", patience=patience)
    assert (hook.verdict(evaluations(values, metric="x")) is not None) is reference(values, patience, lower)


@given(VALUES, st.integers(1, 100))
def test_steps_without_improvement_agree_with_the_place_of_the_best(values, n):
    finite = [v for v in values if math.isfinite(v)]
    at = values.index(min(finite)) if finite else 0
    stops = bool(values) and (len(values) - 1 - at) * 10 >= n
    hook = EarlyStopping(max_steps_without_improvement=n)
    assert (hook.verdict(evaluations(values)) is not None) is stops


def test_training_ends_at_the_save_whose_evaluation_tells():
    log = Log([3.0, 2.0, 2.5, 2.5, 1.0])
    run = train([log, EarlyStopping(patience=2)], until=1000, save=10)
    assert run.step == 40
    assert run.stop_reason == (
        "early_stopping: loss has not improved for 2 evaluations (best 2 at step 20, 2.5 at step 40)"
    )


def test_an_earlier_reason_to_stop_is_kept():
    run = train([Log([3.0, 3.0, 3.0]), EarlyStopping(patience=1)], until=10, save=10)
    assert run.stop_reason == "max_steps"


def test_a_restart_of_a_run_that_was_stopped_makes_no_step():
    log, engine = Log([3.0, 2.0, 2.5, 2.5]), Engine()
    first = train([log, EarlyStopping(patience=2)], until=1000, engine=engine, save=10)
    again = train([log, EarlyStopping(patience=2)], until=1000, engine=engine, save=10)
    assert (again.step, again.stop_reason) == (first.step, first.stop_reason)


@given(
    st.lists(st.integers(0, 5).map(float), min_size=1, max_size=10),
    st.integers(1, 3),
    st.sets(st.integers(1, 9)),
)
def test_runs_cut_anywhere_end_where_an_uncut_one_ends(values, patience, cuts):
    def ends_at(cuts):
        log, engine = Log([*values, *[9.0] * 20]), Engine()
        for cut in [*sorted(cuts), 100]:
            run = train([log, EarlyStopping(patience=patience)], until=cut * 10, engine=engine, save=10)
        return run.step

    assert ends_at(cuts) == ends_at([])


def test_evaluations_of_another_process_are_seen_between_saves():
    engine = Engine()
    found = evaluations([3.0, 4.0, 5.0])

    class Other:
        def begin(self, run):
            run.history_source = lambda: SimpleNamespace(evaluations=found[: int(engine.clock.monotonic())])

    hook = EarlyStopping(patience=2, check_every_secs=0.5)
    run = train([Other(), hook], until=10_000, engine=engine)
    assert run.stop_reason.startswith("early_stopping: loss has not improved for 2 evaluations")
    assert 300 <= run.step < 400  # the third evaluation comes after 3 s of 100 steps each
    assert train([Other(), EarlyStopping(patience=9)], until=10_000, engine=Engine()).step == 10_000


def test_an_evaluation_without_the_metric_is_an_error_naming_those_there_are():
    log = Log([1.0] * 5)
    with pytest.raises(UnknownMetric, match=r"hook 'early_stopping': metric 'auc' is not among \['loss'\]"):
        train([log, EarlyStopping("auc", patience=1)], until=100, save=10)


def test_without_an_experiment_it_is_refused_before_the_first_step():
    engine = Engine()
    with pytest.raises(InvalidHook, match=r"hook 'early_stopping': .* without an Experiment; give"):
        train([EarlyStopping(patience=1)], until=100, engine=engine)
    assert engine.calls == []


def test_at_least_one_rule_must_be_given():
    with pytest.raises(InvalidArgument, match=r"hook 'early_stopping': patience, .* are all None; give"):
        EarlyStopping()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "hook 'early_stopping': patience is 0"),
        ({"max_steps_without_improvement": 0}, "max_steps_without_improvement is 0"),
        ({"threshold": math.nan}, "threshold is nan"),
        ({"patience": 1, "min_delta": -1}, "min_delta is -1"),
        ({"patience": 1, "min_steps": -1}, "min_steps is -1"),
        ({"patience": 1, "check_every_secs": 0}, "check_every_secs is 0"),
        ({"patience": 1, "metric": ""}, "metric is ''"),
        ({"patience": 1, "metric": "score"}, r"metric 'score': .*pass mode="),
        ({"patience": 1, "mode": "up"}, "mode is 'up'"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        EarlyStopping(**arguments)
