"""The built-in exporters keep the promises of their kind, every one and without an excuse."""

from __future__ import annotations

import importlib.metadata

import pytest

from expcore.conformance import Sample, check
from expcore_plugins.exporters.best import Best
from expcore_plugins.exporters.final import Final
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.samples import exporters as samples

pytestmark = pytest.mark.proof

WITHOUT_TENSORFLOW = {
    "best": Sample(factory=Best),
    "final": Sample(factory=Final),
    "latest": Sample(factory=Latest),
    "steps": samples.steps(),
    "post_process": samples.post_process(),
}
WITH_TENSORFLOW = {
    "saved_model": samples.saved_model(),
    "keras_archive": samples.keras_archive(),
    "litert": samples.litert(),
}


def checked(name, sample):
    report = check(sample, kind="exporter", on_fail="collect", label=name)
    report.raise_for_failures("should")
    assert not sample.expected_failures
    return report


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_an_exporter_that_needs_no_tensorflow_keeps_every_promise(name):
    report = checked(name, WITHOUT_TENSORFLOW[name])
    assert report.ran == report.total


@pytest.mark.tf
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
@pytest.mark.parametrize("name", WITH_TENSORFLOW)
def test_a_keras_format_keeps_every_promise(name):
    report = checked(name, WITH_TENSORFLOW[name])
    assert [r.id for r in report.results if r.status == "skipped"] in ([], ["EXP-021"])


def test_no_built_in_is_left_out():
    points = importlib.metadata.distribution("expcore").entry_points
    names = {point.name for point in points if point.group == "expcore.exporters"}
    assert names == {*WITHOUT_TENSORFLOW, *WITH_TENSORFLOW}
