"""How hooks are tried: with a library that is missing, with an estimator of their own, as they are."""

from __future__ import annotations

from typing import Any

import pytest

from expcore.cluster import RunConfig
from expcore.conformance import check
from expcore.conformance.hooks.watched import Watched
from expcore.testing import CountingEngine, drive
from expcore.testing.numpy_estimator import NumpyEstimator


class Halves:
    """Asks for a checkpoint each 20 steps, and for the end at 60."""

    every_secs = None

    def next_step(self, step: int) -> int:
        return step - step % 20 + 20

    def after_steps(self, run: Any) -> None:
        self.loss = run.metrics.get("loss")
        run.request_save()
        if run.step >= 60:
            run.request_stop("sixty steps")


class Needy(Halves):
    """Needs what is not installed."""

    requires = "a_library_that_nobody_has"


def test_a_hook_whose_library_is_missing_is_skipped_and_nothing_is_proved():
    report = check(Needy, kind="hook", on_fail="collect")
    assert not report.failures
    assert report.missing == ("a_library_that_nobody_has",)
    assert {r.status for r in report.results} == {"skipped"}
    skipped = [r.message for r in report.results if r.status == "skipped"]
    assert any("it needs a_library_that_nobody_has, which is not here" in text for text in skipped)


def test_an_estimator_of_the_sample_is_used_and_given_the_clock_where_it_names_it():
    made: list[NumpyEstimator] = []

    def estimator(model_dir: str, clock: Any) -> NumpyEstimator:
        config = RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
        made.append(NumpyEstimator(model_dir, config, kind="linear", learning_rate=0.2, clock=clock))
        return made[-1]

    report = check(Halves, kind="hook", estimator=estimator)
    assert report.counts["passed"] == report.total
    assert len(made) > 20


def test_what_is_watched_behaves_as_the_hook_and_is_written_down():
    plain, watched = CountingEngine(), CountingEngine()
    hook = Watched(Halves())
    ends = [drive([Halves()], None, plain), drive([hook], None, watched)]
    assert [end.stop_reason for end in ends] == ["sixty steps"] * 2
    assert (plain.calls, plain.saves) == (watched.calls, watched.saves)
    seen = hook.seen
    assert seen.steps == seen.saves == [20, 40, 60]
    assert seen.stops == [(60, "sixty steps")]
    assert seen.read == ["after_steps"] * 3
    assert seen.asked[0] == (0, 20)
    assert hook.loss == 1 / 60
    with pytest.raises(AttributeError):
        _ = hook.begin
