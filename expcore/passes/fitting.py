"""Which hooks an estimator gets: the user's, adapted where a plugin can, and those that plugins add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidHook
from expcore.parts import Parts


def fitting_hooks(experiment: Parts, given: Sequence[Any], added: Sequence[Any]) -> list[Any]:
    """Returns the hooks for one call of the estimator; added ones come first.

    An estimator without ``supports_hook`` gets the given ones and no others.

    Raises:
        InvalidHook: the estimator does not take one of the given hooks.
    """
    estimator = experiment.estimator
    supports = getattr(estimator, "supports_hook", None)
    if given:
        adapted = experiment.plugins.first("expcore_adapt_hooks", estimator=estimator, hooks=list(given))
        given = list(given if adapted is None else adapted)
    if not callable(supports):
        return list(given)
    for hook in given:
        if not supports(hook):
            raise InvalidHook(
                f"hook {describe(hook)}: {describe(type(estimator))} cannot take it and no plugin adapts it; "
                "give an expcore hook, or install a plugin that implements expcore_adapt_hooks"
            )
    return [*(hook for hook in added if supports(hook)), *given]
