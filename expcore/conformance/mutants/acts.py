"""Acts: what components do to their process and to places of the user, which are none of their business."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path


def _ignores_a_signal() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _seeds_numpy() -> None:
    import numpy as np

    np.random.seed(1)


ON_THE_PROCESS: Mapping[str, Callable[[], object]] = {
    "goes to the root directory": partial(os.chdir, "/"),
    "ignores a signal": _ignores_a_signal,
    "seeds Python's random numbers": partial(random.seed, 1),
    "draws a random number": random.random,
    "seeds NumPy's random numbers": _seeds_numpy,
}

ON_FILES: Mapping[str, Callable[[], object]] = {
    "writes into the home": lambda: Path("~/.seen").expanduser().touch(),
    "leaves a temporary file": lambda: Path(tempfile.gettempdir(), "seen").touch(),
}
