"""Case: what one clause is tried on, a fresh component and an empty folder; Sample: how to make them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expcore.calling import call_naming
from expcore.conformance.clause import InvalidSample, NotApplicable, Runaway, Violation
from expcore.errors import InvalidArgument, one_line
from expcore.testing.clock import VirtualClock

MAX_SLEEPS = 10_000
"""So many waits in one clause, and a component is taken to wait for ever."""

MAX_LOOKS = 200_000
"""So many looks at the clock between two waits, and a component is taken to wait by looking at it."""


@dataclass(frozen=True)
class Sample:
    """How a component is to be tried: the object, or what makes one, and what it has to be tried with.

    An entry of the group ``expcore.conformance`` names one, or a function that returns one, where a component
    has parameters without defaults or needs other data than the suite's own.

    Attributes:
        component: the object; it is copied for each clause where that is possible.
        factory: makes a fresh one for each clause, called without arguments. That of an estimator is given
            ``model_dir`` and ``config`` if it names them.
        estimator: exporters, hooks, observers: ``(model_dir) -> estimator`` that the component can work with;
            None: a NumPy estimator. Predicates: one whose evaluations have the metrics that the predicate
            decides from; None: the usual ones.
        train_input_fn: estimators, or with ``estimator``: the training data; None: linear data in NumPy, an
            endless iterable of batches (x, y) of shapes [16, 3] and [16]. Those of an estimator are good for
            12 steps at least, or endless.
        eval_input_fn: the evaluation data, likewise; None: the training data where they are given, else a
            pair (x, y) of shapes [64, 3] and [64]. Those of an estimator end, and have more than one batch.
        options: schedules: keyword options to run it with.
        config: schedules: attributes of the RunConfig of the experiment that it is run in.
        needs: what has to be there to try it at all, such as "tensorflow"; where it is not, nothing is tried,
            which proves nothing, and the report says so.
        capabilities: what the component can do besides; None: what its own ``capabilities`` says.
        expected_failures: reason by clause id; such a clause has to fail.
    """

    component: Any = None
    factory: Callable[..., Any] | None = None
    estimator: Callable[[str], Any] | None = None
    train_input_fn: Callable[[], Any] | None = None
    eval_input_fn: Callable[[], Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    needs: Collection[str] = ()
    capabilities: Collection[str] | None = None
    expected_failures: Mapping[str, str] = field(default_factory=dict)

    def make(self, **offered: Any) -> Any:
        """Returns a fresh component.

        Args:
            offered: arguments for a factory that names them.

        Raises:
            InvalidArgument: there is neither component nor factory.
            Exception: whatever the factory raises.
        """
        factory = (
            self.component if self.factory is None and isinstance(self.component, type) else self.factory
        )
        if factory is not None:
            return call_naming(factory, **offered)
        if self.component is None:
            raise InvalidArgument("sample: it has neither component nor factory; give one of them")
        try:
            return copy.deepcopy(self.component)
        except Exception:
            return self.component


class PatientClock(VirtualClock):
    """A virtual clock that ends a component which waits for ever, or looks at the clock for ever."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__(start)
        self._looks = 0

    def time(self) -> float:
        """Returns the virtual seconds."""
        self._look()
        return super().time()

    def monotonic(self) -> float:
        """Returns the virtual seconds."""
        self._look()
        return super().monotonic()

    def _look(self) -> None:
        self._looks += 1
        if self._looks > MAX_LOOKS:
            raise Runaway(f"it looked at the clock {MAX_LOOKS} times without waiting in between")

    def sleep(self, secs: float) -> None:
        """Jumps; a wait of nothing counts as well."""
        super().sleep(secs)
        if secs > 0:
            self._looks = 0
        else:
            self.slept.append(0.0)
        if len(self.slept) > MAX_SLEEPS:
            raise Runaway(f"it waited {MAX_SLEEPS} times without coming to an end")


class Case:
    """What one clause is tried on. The kinds have their own, with what their clauses share.

    Args:
        sample: makes the component.
        folder: an empty folder for this clause alone; it is gone afterwards.

    Attributes:
        sample: as given.
        folder: as given.
    """

    def __init__(self, sample: Sample, folder: Path) -> None:
        self.sample, self.folder = sample, folder

    def make(self) -> Any:
        """Returns a fresh component, each time."""
        return self.sample.make()

    def require(self, kept: object, seen: str, expected: str = "") -> None:
        """Ends the clause with a Violation where a promise is not kept.

        Args:
            kept: whether it is.
            seen: what was observed.
            expected: what should have been; "": what the title says.
        """
        if not kept:
            raise Violation(seen, expected)

    def skip(self, reason: str) -> None:
        """Ends the clause, since there is nothing to try."""
        raise NotApplicable(reason)

    @contextmanager
    def no_error(self, doing: str, expected: str = "") -> Iterator[None]:
        """A block in which nothing may be raised; ``doing`` says what was being done."""
        try:
            yield
        except (Violation, NotApplicable, InvalidSample):
            raise
        except Exception as error:
            raise Violation(f"{doing} raised {one_line(error)}", expected) from error

    def raised(self, function: Callable[[], Any], *kinds: type[BaseException]) -> BaseException | None:
        """Returns what a call raised, if it is one of these kinds; None where it raised nothing.

        Raises:
            Violation: it raised something else.
        """
        try:
            function()
        except (Violation, NotApplicable, InvalidSample):
            raise
        except BaseException as error:
            if isinstance(error, kinds):
                return error
            if not isinstance(error, Exception):
                raise
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise Violation(f"it raised {one_line(error)}", f"{wanted}, or no error") from error
        return None
