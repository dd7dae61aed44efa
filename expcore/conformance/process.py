"""What a component may do to its process: put back afterwards, and noted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def kept_signals(changed: list[int]) -> Iterator[None]:
    """Puts back what is done on signals, and notes for which it was something else."""
    before = _handlers()
    try:
        yield
    finally:
        for number, handler in _handlers().items():
            if handler is not before[number]:
                changed.append(number)
                with suppress(ValueError, TypeError):  # not the first thread; a handler written in C
                    signal.signal(number, before[number])


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}
