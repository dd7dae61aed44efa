"""The built-in estimators keep every promise of an estimator, with no failure expected."""

from __future__ import annotations

import pytest

from expcore.conformance import check
from expcore_plugins.samples import estimators


@pytest.mark.tf
@pytest.mark.parametrize("sample", [estimators.keras, estimators.module])
def test_the_estimator_keeps_every_promise(sample):
    report = check(sample(), kind="estimator", label=sample.__name__)
    report.raise_for_failures("should")
    assert [result.message for result in report.results if result.status != "passed"] == []
