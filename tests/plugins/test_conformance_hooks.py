"""The built-in hooks keep every promise of a hook, with no expected failures."""

from __future__ import annotations

import io
from importlib import import_module
from importlib.metadata import distribution

import pytest

from expcore.conformance import check
from expcore_plugins.hooks.logging import Logging
from expcore_plugins.hooks.nan_guard import NanGuard
from expcore_plugins.hooks.profiler import Profiler
from expcore_plugins.hooks.progress_bar import ProgressBar
from expcore_plugins.hooks.stop_at_step import StopAtStep
from expcore_plugins.hooks.summaries import Summaries
from expcore_plugins.samples import hooks as samples

pytestmark = pytest.mark.proof

SAMPLES = {
    "early_stopping": samples.early_stopping,
    "stop_at_step": samples.stop_at_step,
    "global_step_waiter": samples.global_step_waiter,
}
BUILTINS = sorted(e.name for e in distribution("expcore").entry_points if e.group == "expcore.hooks")


def keeps_every_promise(component, **given):
    report = check(component, kind="hook", on_fail="raise", **given)
    report.raise_for_failures("should")
    assert [r.message for r in report.results if r.status != "passed"] == []


def test_there_are_the_eight_built_ins():
    assert len(BUILTINS) == 8


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.tf) if n in ("profiler", "summaries") else n for n in BUILTINS],
)
def test_a_built_in_hook_keeps_every_promise(name):
    if name in SAMPLES:
        keeps_every_promise(SAMPLES[name]())
        return
    entry = next(e for e in distribution("expcore").entry_points if e.name == name)
    keeps_every_promise(getattr(import_module(entry.module), entry.attr))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "factory",
    [
        lambda: Logging(every_secs=20),
        lambda: Logging(every_n_steps=None),
        lambda: NanGuard(10, fail=False),
        lambda: ProgressBar(stream=Terminal()),
        lambda: StopAtStep(num_steps=70),
        pytest.param(lambda: Profiler(100, steps=40, every_n_steps=70), marks=pytest.mark.tf),
        pytest.param(lambda: Summaries(every_secs=20), marks=pytest.mark.tf),
    ],
    ids=[
        "logging by time",
        "logging at the end",
        "nan_guard",
        "progress_bar",
        "stop_at_step",
        "profiler",
        "summaries",
    ],
)
def test_so_it_does_with_other_arguments(factory):
    keeps_every_promise(None, factory=factory)
