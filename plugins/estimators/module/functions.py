"""Plain functions over variables, as a model for the ModuleEstimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Step = Callable[[Any], Any]


@dataclass(frozen=True)
class Functions:
    """A model of plain functions.

    Args:
        train_step: takes a batch, changes the variables, and returns a mapping of names to scalars (or one
            scalar, the loss).
        variables: every variable that ``train_step`` changes or that a checkpoint is to hold:
            ``tf.Variable``, ``tf.random.Generator``, ``tf.Module``, Keras optimizers and layers.
        test_step: takes a batch and returns the metrics of it likewise; None: the model cannot be evaluated.
        predict_step: takes the features of a batch and returns its predictions; None: the model cannot
            predict.
        name: for messages.
    """

    train_step: Step
    variables: Sequence[Any] = ()
    test_step: Step | None = None
    predict_step: Step | None = None
    name: str = "functions"
