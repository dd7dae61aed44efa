"""Spent: where the time of expcore's interleaved job goes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case
from benchmarks.peers import own
from benchmarks.peers.compiled_calls import CompiledCalls
from benchmarks.peers.session import Place


class Timed:
    """Counts the seconds of an attribute of an object, a function, while it is in its place.

    Args:
        owner: the object.
        name: the attribute's name.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name
        self._original: Callable[..., Any] = getattr(owner, name)
        self.secs = 0.0

    def __enter__(self) -> Timed:
        original = self._original

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.secs += time.perf_counter() - start

        setattr(self._owner, self._name, timed)
        return self

    def __exit__(self, *_: Any) -> None:
        setattr(self._owner, self._name, self._original)


class Evaluations(Timed):
    """Counts the seconds of an estimator's evaluations, and of the compiled calls in them."""

    def __init__(self, estimator: Any, calls: CompiledCalls) -> None:
        super().__init__(estimator, "evaluate")
        self.compiled = 0.0
        self._calls, self._evaluate = calls, self._original
        self._original = self._evaluated

    def _evaluated(self, *args: Any, **kwargs: Any) -> Any:
        before = self._calls.secs
        result = self._evaluate(*args, **kwargs)
        self.compiled += self._calls.secs - before
        return result

    def __exit__(self, *_: Any) -> None:
        setattr(self._owner, self._name, self._evaluate)


def parts(case: Case, place: Place, beside: bool, cycles: int) -> dict[str, float]:
    """Returns the parts of the time of so many cycles, which add up to 1."""
    import tensorflow as tf

    session = own.Interleaved(case, place, beside=beside)
    session.first()
    with (
        CompiledCalls() as calls,
        Evaluations(session.estimator, calls) as evaluations,
        Timed(tf.raw_ops, "SaveV2") as writing,
        Timed(tf.raw_ops, "SerializeIterator") as position,
    ):
        whole = session.round(cycles)
    beside_secs = 0.0 if beside else writing.secs
    found = {
        "compiled calls of training": calls.secs - evaluations.compiled,
        "compiled calls of evaluation": evaluations.compiled,
        "the rest of the evaluations": evaluations.secs - evaluations.compiled,
        "taking the position in the input": position.secs,
        "writing the tensors of checkpoints": beside_secs,
    }
    found["everything else"] = whole - sum(found.values())
    return {name: secs / whole for name, secs in found.items()}


def main() -> None:
    """Prints the parts; the arguments are case, whether saving is beside, cycles, and the two folders."""
    given, beside, cycles, folder, model_dir = sys.argv[1:]
    case = Case(**json.loads(given))
    print(json.dumps(parts(case, Place(folder, model_dir), beside == "beside", int(cycles))))


if __name__ == "__main__":
    main()
