"""How expcore's conformance suite tries the estimator: with a linear regression, on the suite's own data."""

from __future__ import annotations

from typing import Any

from expcore.conformance import Sample
from expcore_sklearn.estimator import SklearnEstimator


def sklearn() -> Sample:
    """Returns a sample that makes estimators in the suite's directories."""
    return Sample(factory=_regression)


def _regression(model_dir: str, config: Any) -> SklearnEstimator:
    from sklearn.linear_model import SGDRegressor

    return SklearnEstimator(SGDRegressor(), model_dir, config, batch_size=16)
