"""Samples of the built-in predicates that need arguments; each says stop at some point of the trial."""

from __future__ import annotations

from expcore.conformance import Sample
from expcore_plugins.predicates.all_of import AllOf
from expcore_plugins.predicates.any_of import AnyOf
from expcore_plugins.predicates.for_evaluations import ForEvaluations
from expcore_plugins.predicates.for_seconds import ForSeconds
from expcore_plugins.predicates.negate import Negate
from expcore_plugins.predicates.until_metric import UntilMetric
from expcore_plugins.predicates.until_step import UntilStep
from expcore_plugins.predicates.while_file_exists import WhileFileExists
from expcore_plugins.predicates.while_improving import WhileImproving


def until_step() -> Sample:
    """Stops in the middle."""
    return Sample(UntilStep(20))


def until_metric() -> Sample:
    """Stops when the loss is low."""
    return Sample(UntilMetric("loss", 0.01))


def for_seconds() -> Sample:
    """Goes on for an hour of work."""
    return Sample(ForSeconds(3600))


def for_evaluations() -> Sample:
    """Stops after two evaluations."""
    return Sample(ForEvaluations(2))


def while_file_exists() -> Sample:
    """Stops, since there is no such file."""
    return Sample(WhileFileExists("keep-evaluating"))


def all_of() -> Sample:
    """Two that end at different points, one of which needs the history."""
    return Sample(AllOf(UntilStep(30), WhileImproving(patience=2, min_delta=0.1)))


def any_of() -> Sample:
    """The same, until both have ended."""
    return Sample(AnyOf(UntilStep(30), WhileImproving(patience=2, min_delta=0.1)))


def negate() -> Sample:
    """Goes on from where the other stops."""
    return Sample(Negate(UntilStep(20)))
