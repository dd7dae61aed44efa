"""CompiledCalls: notes when Python enters TensorFlow's compiled functions and when it comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class CompiledCalls:
    """A context in which calls of compiled functions are noted; those inside of another are part of it."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._inside = False

    def __enter__(self) -> CompiledCalls:
        import tensorflow as tf

        function = tf.function(lambda: None)
        self._kinds = (type(function), type(function.get_concrete_function()))
        self._originals = [kind.__call__ for kind in self._kinds]
        for kind, original in zip(self._kinds, self._originals, strict=True):
            kind.__call__ = self._noted(original)
        return self

    def __exit__(self, *_: Any) -> None:
        for kind, original in zip(self._kinds, self._originals, strict=True):
            kind.__call__ = original

    def _noted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(function: Any, *args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return original(function, *args, **kwargs)
            self._inside = True
            start = time.perf_counter()
            try:
                return original(function, *args, **kwargs)
            finally:
                self._spans.append((start, time.perf_counter()))
                self._inside = False

        return called

    @property
    def secs(self) -> float:
        """Seconds inside of the calls."""
        return sum(end - start for start, end in self._spans)

    def gaps(self) -> list[float]:
        """Seconds from each call's end to the next one's start."""
        return [
            later[0] - earlier[1] for earlier, later in zip(self._spans[:-1], self._spans[1:], strict=True)
        ]
