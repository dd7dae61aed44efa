"""Metrics of predictions, computed once over all examples, so that no batch weighs more than another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from expcore.errors import InvalidArgument, InvalidInput, InvalidType, nearest, one_line
from expcore_sklearn.inputs import Batch
from expcore_sklearn.models import SUBJECT

Score = Callable[[Any, Any], Any]
_OWN = ("loss", "accuracy", "r2", "global_step")


def check_metrics(
    metrics: Sequence[str] | Mapping[str, str | Score] | None,
) -> dict[str, Score]:
    """Returns functions ``(labels, predictions) -> number`` by name.

    Raises:
        InvalidArgument: a name is none of ``sklearn.metrics``, or one of the metrics that are always there.
        InvalidType: it is neither a list of names nor a mapping of names to functions or names.
    """
    if metrics is None:
        return {}
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise InvalidType(f"{SUBJECT}: metrics is {metrics!r}; {_RULE}")
    given = dict(metrics) if isinstance(metrics, Mapping) else {name: name for name in metrics}
    for name in given:
        if name in _OWN:
            raise InvalidArgument(
                f"{SUBJECT}: a metric is called {name!r}, as is one that is always there; choose another name"
            )
    return {str(name): _function(value) for name, value in given.items()}


_RULE = "it must be a list of names of functions in sklearn.metrics, or a mapping of names to functions"


def _function(value: Any) -> Score:
    if not isinstance(value, str):
        if not callable(value):
            raise InvalidType(f"{SUBJECT}: metric {value!r} is no function; {_RULE}")
        return value  # type: ignore[no-any-return]
    import sklearn.metrics

    # Those that compare labels with predictions are called so; others take scores, or whole models.
    known = [n for n in sklearn.metrics.__all__ if n.endswith(("_score", "_loss", "_error", "_deviance"))]
    if value not in known:
        raise InvalidArgument(
            f"{SUBJECT}: metric {value!r} is none of sklearn.metrics{nearest(value, known)}; {_RULE}"
        )
    return getattr(sklearn.metrics, value)  # type: ignore[no-any-return]


def score(model: Any, kind: str, batches: Iterable[Batch], more: Mapping[str, Score]) -> dict[str, float]:
    """Returns the metrics of a fitted model over batches.

    ``loss`` is the mean squared error of a regressor, and the log loss of a classifier, or the share of wrong
    predictions of one that gives no probabilities. Classifiers have ``accuracy``, regressors ``r2``.

    Raises:
        InvalidInput: there is no batch, or it does not fit the model.
    """
    labels: list[Any] = []
    predictions: list[Any] = []
    chances: list[Any] = []
    try:
        for x, y in batches:
            labels.append(y)
            predictions.append(model.predict(x))
            if kind == "classifier" and hasattr(model, "predict_proba"):
                chances.append(model.predict_proba(x))
    except InvalidInput:
        raise
    except ValueError as error:
        raise InvalidInput(f"{SUBJECT}: a batch does not fit the model: {one_line(error)}") from error
    if not labels:
        raise InvalidInput("the input_fn gave no batch; give at least one")
    y, p = np.concatenate(labels), np.concatenate(predictions)
    own = _of_classifier(model, y, p, chances) if kind == "classifier" else _of_regressor(y, p)
    return own | {name: float(function(y, p)) for name, function in more.items()}


def _of_classifier(model: Any, y: Any, p: Any, chances: list[Any]) -> dict[str, float]:
    from sklearn.metrics import log_loss

    unknown = np.setdiff1d(y, model.classes_)
    if len(unknown):
        raise InvalidInput(
            f"{SUBJECT}: labels {unknown.tolist()} are not among classes; add them, or leave "
            "these examples out"
        )
    accuracy = float(np.mean(y == p))
    if not chances:
        return {"loss": 1 - accuracy, "accuracy": accuracy}
    return {"loss": float(log_loss(y, np.concatenate(chances), labels=model.classes_)), "accuracy": accuracy}


def _of_regressor(y: Any, p: Any) -> dict[str, float]:
    from sklearn.metrics import mean_squared_error, r2_score

    # Of one example r2 is not defined.
    return {
        "loss": float(mean_squared_error(y, p)),
        "r2": float(r2_score(y, p)) if len(y) > 1 else float("nan"),
    }
