"""Exporting in the way of ``tf.estimator``: a SavedModel in a directory named after the time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from expcore.calling import describe, describe_type
from expcore.errors import CannotWrite, InvalidType, one_line
from expcore.temporary import sync_tree, temporary_directory
from expcore.types import Clock

_LOG = logging.getLogger(__name__)


def export_saved_model(model: Any, base: str, signature_fn: Callable[[], Any] | None, clock: Clock) -> str:
    """Writes the model as it is to a new version below ``base`` and returns its path.

    Raises:
        InvalidType: ``signature_fn`` returns no specs.
        CannotWrite: the directory cannot be written.
    """
    signature = None if signature_fn is None else [_signature(signature_fn)]
    try:
        os.makedirs(base, exist_ok=True)
        with temporary_directory(base) as folder:
            target = os.path.join(folder, "export")
            model.export(target, format="tf_saved_model", verbose=False, input_signature=signature)
            sync_tree(target)
            path = os.path.join(base, str(_version(base, clock)))
            os.rename(target, path)
    except OSError as error:
        raise CannotWrite(
            f"the SavedModel cannot be written below {base!r} ({one_line(error)}); make room or permissions"
        ) from error
    _LOG.info("exported %s", path)
    return path


def _version(base: str, clock: Clock) -> int:
    """The time in seconds, or the next number where that one is not new."""
    known = [int(name) for name in os.listdir(base) if name.isdecimal()]
    return max([int(clock.time()), *(number + 1 for number in known)])


def _signature(function: Callable[[], Any]) -> Any:
    import keras
    import tensorflow as tf

    specs = function()
    for leaf in tf.nest.flatten(specs):
        if not isinstance(leaf, (tf.TensorSpec, keras.InputSpec)):
            raise InvalidType(
                f"serving_input_receiver_fn {describe(function)} gave a {describe_type(type(leaf))}; Keras "
                "models have no placeholders: return tf.TensorSpec or keras.InputSpec of the model's inputs, "
                "or give None for the model's own"
            )
    return specs
