"""The clauses of observers."""

from typing import Any

from expcore.conformance.kind import Kind
from expcore.conformance.observers import answers as answers
from expcore.conformance.observers import manners as manners
from expcore.conformance.observers.case import ObserverCase
from expcore.conformance.observers.clauses import clauses
from expcore.conformance.observers.watched import marked

_FORMS = {
    "expcore_train_hooks": "hooks",
    "expcore_eval_hooks": "hooks",
    "expcore_adapt_hooks": "adapts",
    "expcore_failed": "failed",
    "expcore_checkpoint_saved": "saved",
    **{
        f"expcore_{kind}": "catalogue"
        for kind in ("estimators", "schedules", "exporters", "hooks", "predicates")
    },
}


def forms(plugin: Any) -> frozenset[str]:
    """Tells what an observer does besides: "hooks", "adapts", "failed", "saved", "catalogue"."""
    return frozenset(_FORMS[name] for name in marked(plugin) if name in _FORMS)


KIND = Kind("observer", ObserverCase, clauses, forms=forms)
