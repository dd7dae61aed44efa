"""The scikit-learn model of an estimator: made anew, checked, and with a random state that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from expcore.calling import describe
from expcore.errors import InvalidArgument, InvalidType, listing

SUBJECT = "SklearnEstimator"

_PLAIN = (bool, int, float, str, tuple, list, type(None))


class Recipe:
    """Makes unfitted models, each time alike.

    Args:
        model: a scikit-learn estimator, of which unfitted copies are made, or a function of no arguments that
            returns one.
        classes: all labels of a classifier; None for a regressor.

    Attributes:
        kind: "classifier" or "regressor".
        classes: the labels as an array; None for a regressor.
        type: the class of the models.
        params: their parameters that are plain values, by name.

    Raises:
        InvalidType: it is neither, has no ``partial_fit``, or is neither classifier nor regressor.
        InvalidArgument: a classifier without ``classes``, a regressor with them, or fewer than two.
    """

    def __init__(self, model: Any, classes: Sequence[Any] | None) -> None:
        self._model = model
        made = self.make(0)
        self.kind = _kind(made)
        self.classes = _check_classes(made, self.kind, classes)
        self.type = type(made)
        self.params = plain_params(made)

    def make(self, seed: int | None) -> Any:
        """Returns an unfitted model.

        Args:
            seed: for random states that are not given (None in the model's parameters): they get one of
                their own, which is kept with the model, where scikit-learn would share NumPy's global one.
                None: from the system.
        """
        import sklearn.base

        if callable(self._model):  # a function or a class; scikit-learn's estimators cannot be called
            made = self._model()
            _check_model(made)
        else:
            _check_model(self._model)
            made = sklearn.base.clone(self._model)
        _seed(made, seed)
        return made


def _check_model(model: Any) -> None:
    if not callable(getattr(model, "partial_fit", None)) or isinstance(model, type):
        raise InvalidType(
            f"{SUBJECT}: model is {describe(type(model))}, which has no partial_fit; give a scikit-learn "
            "estimator that learns in batches, such as SGDClassifier(), or a function of no arguments that "
            "returns one"
        )


def _kind(model: Any) -> str:
    import sklearn.base

    if sklearn.base.is_classifier(model):
        return "classifier"
    if sklearn.base.is_regressor(model):
        return "regressor"
    raise InvalidType(
        f"{SUBJECT}: model is {describe(type(model))}; it must be a classifier or a regressor, which learn "
        "from labels"
    )


def _check_classes(model: Any, kind: str, classes: Sequence[Any] | None) -> Any:
    name = describe(type(model))
    if kind == "regressor":
        if classes is not None:
            raise InvalidArgument(
                f"{SUBJECT}: classes are given, but {name} is a regressor; leave classes= out"
            )
        return None
    if classes is None:
        raise InvalidArgument(
            f"{SUBJECT}: {name} is a classifier, and no batch need have all labels; "
            "pass classes=, a list of all of them"
        )
    found = np.unique(np.asarray(classes))
    if isinstance(classes, str) or len(found) < 2 or len(found) != len(classes):
        raise InvalidArgument(
            f"{SUBJECT}: classes is {classes!r}; it must be a list of at least two different labels"
        )
    return found


def _seed(model: Any, seed: int | None) -> None:
    """Gives a random state to each part of a model that has none of its own."""
    source = np.random.RandomState(seed)
    for name, value in sorted(model.get_params(deep=True).items()):
        if name.rpartition("__")[2] == "random_state" and value is None:
            model.set_params(**{name: np.random.RandomState(source.randint(2**31))})


def plain_params(model: Any) -> dict[str, Any]:
    """Returns a model's parameters that are plain values; of others nobody can tell whether they differ."""
    found = model.get_params(deep=True)
    return {name: value for name, value in found.items() if isinstance(value, _PLAIN)}


def differing(model: Any, recipe: Recipe) -> str:
    """Returns in words which parameters of a model are others than the recipe's; "" where none."""
    theirs = plain_params(model)
    names = sorted(n for n, v in recipe.params.items() if n in theirs and theirs[n] != v)
    return listing(names) if names else ""
