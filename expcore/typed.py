"""Decorators, one a kind, with which mypy and pyright reject a component that does not fit.

Put one on what the entry point names. It returns what it is given, unchanged and of unchanged type, and
registers nothing. At run time it checks only that it can be called; the rules are in the types::

    @typed.predicate
    class UntilLossIsLow:
        def __call__(self, eval_result: Metrics | None) -> bool: ...

What types cannot say stays open: a parameter with a default fits whatever its type, also where its name is
one that the host passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from expcore.errors import InvalidType
from expcore.types import Estimator, Exporter, Format, History, Hook, Metrics

if TYPE_CHECKING:
    from expcore.experiment import Experiment

# --- What a format, an exporter and a predicate may name, without defaults too ------------------------


class FormatOfCheckpoint(Protocol):
    """A format that names the checkpoint."""

    def write(self, estimator: Any, directory: str, /, *, checkpoint_path: str | None) -> None:
        """Fills ``directory``."""


class FormatOfResult(Protocol):
    """A format that names the result."""

    def write(self, estimator: Any, directory: str, /, *, eval_result: Metrics | None) -> None:
        """Fills ``directory``."""


class FormatOfBoth(Protocol):
    """A format that names the checkpoint and the result."""

    def write(
        self, estimator: Any, directory: str, /, *, checkpoint_path: str | None, eval_result: Metrics | None
    ) -> None:
        """Fills ``directory``."""


class ExporterOfHistory(Protocol):
    """An exporter that names the log."""

    @property
    def name(self) -> str:
        """The name, which is the directory below ``export/``."""

    def export(
        self,
        estimator: Any,
        export_path: str,
        *,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
        history: History | None,
    ) -> str | None:
        """Returns the path of what was written; None if nothing was."""


class PredicateOfResult(Protocol):
    """A predicate of the result alone."""

    def __call__(self, eval_result: Metrics | None, /) -> bool:
        """Whether to go on."""


class PredicateOfCheckpoint(Protocol):
    """A predicate that names the checkpoint."""

    def __call__(self, eval_result: Metrics | None, /, *, checkpoint_path: str | None) -> bool:
        """Whether to go on."""


class PredicateOfHistory(Protocol):
    """A predicate that names the log."""

    def __call__(self, eval_result: Metrics | None, /, *, history: History | None) -> bool:
        """Whether to go on."""


class PredicateOfBoth(Protocol):
    """A predicate that names the checkpoint and the log."""

    def __call__(
        self, eval_result: Metrics | None, /, *, checkpoint_path: str | None, history: History | None
    ) -> bool:
        """Whether to go on."""


AnyFormat = Format | FormatOfCheckpoint | FormatOfResult | FormatOfBoth
AnyExporter = Exporter | ExporterOfHistory
AnyPredicate = PredicateOfResult | PredicateOfCheckpoint | PredicateOfHistory | PredicateOfBoth

# --- The decorators -----------------------------------------------------------------------------------

_Estimator = TypeVar("_Estimator", bound=Callable[..., Estimator])
_Schedule = TypeVar("_Schedule", bound="Callable[[Experiment], Any]")
_Exporter = TypeVar("_Exporter", bound=Callable[..., AnyFormat | AnyExporter])
_Hook = TypeVar("_Hook", bound=Callable[..., Hook])
_Predicate = TypeVar("_Predicate", bound=Callable[..., AnyPredicate])


def estimator(factory: _Estimator, /) -> _Estimator:
    """For a class or function that gives an ``expcore.types.Estimator``; InvalidType if not callable."""
    return _callable(factory, "estimator", "a class or a function that gives an estimator")


def schedule(function: _Schedule, /) -> _Schedule:
    """For a function of the experiment; InvalidType if it is not callable.

    Its options need defaults to pass, so that the schedule can be started by its name alone.
    """
    return _callable(function, "schedule", "a function (experiment, **options)")


def exporter(factory: _Exporter, /) -> _Exporter:
    """For a class or function that gives a format, a policy or an exporter; InvalidType if not callable."""
    return _callable(factory, "exporter", "a class or a function that gives a format or an exporter")


def hook(factory: _Hook, /) -> _Hook:
    """For a class that derives from ``expcore.types.Hook``, or gives one; InvalidType if it is not callable.

    A class that does not derive from it needs all of its methods to pass.
    """
    return _callable(factory, "hook", "a class or a function that gives a hook")


def predicate(factory: _Predicate, /) -> _Predicate:
    """For a class or function that gives a predicate, and is none itself; InvalidType if not callable."""
    return _callable(factory, "predicate", "a class or a function that gives a predicate")


_Any = TypeVar("_Any")


def _callable(value: _Any, kind: str, wanted: str) -> _Any:
    if not callable(value):
        raise InvalidType(f"@typed.{kind}: {value!r} cannot be called; decorate {wanted}")
    return value
