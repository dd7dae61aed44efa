"""scikit-learn models that learn in batches: an estimator for expcore."""

from expcore_sklearn.estimator import SklearnEstimator as SklearnEstimator

__all__ = ["SklearnEstimator"]
