"""The built-in estimator keeps every promise of an estimator, with no failure expected."""

from __future__ import annotations

import pytest

from expcore.conformance import check
from expcore_plugins.samples import estimators


@pytest.mark.tf
def test_the_keras_estimator_keeps_every_promise():
    report = check(estimators.keras(), kind="estimator", label="keras")
    report.raise_for_failures("should")
    assert [result.message for result in report.results if result.status != "passed"] == []
