"""Seeds: what a run draws hangs on the seed of its config alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def seed_everything(seed: int | None) -> None:
    """Seeds Python, NumPy, TensorFlow, and Keras where it is loaded; nothing for None."""
    if seed is None:
        return
    keras = sys.modules.get("keras")
    if keras is not None:
        keras.utils.set_random_seed(seed)
    else:
        seed_data(seed)


def seed_of_pass(seed: int | None, number: int) -> int | None:
    """Returns the seed of a pass over the data: of the first one the seed itself; None for None."""
    if seed is None or number == 0:
        return seed
    import numpy as np

    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def seed_data(seed: int | None) -> None:
    """Seeds what an input function may draw from, so that the order of the data hangs on the seed alone.

    Keras's own generator stays: functions that are traced already may use it.
    """
    if seed is not None:
        import numpy as np
        import tensorflow as tf

        random.seed(seed)
        np.random.seed(seed)
        tf.random.set_seed(seed)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Has Python's and NumPy's global generators at its end where they were, whatever was drawn."""
    import numpy as np

    python, numbers = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)
