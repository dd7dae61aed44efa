"""The clauses of hooks."""

from typing import Any

from expcore.conformance.hooks import manners as manners
from expcore.conformance.hooks import resume as resume
from expcore.conformance.hooks.case import HookCase
from expcore.conformance.hooks.clauses import clauses
from expcore.conformance.kind import Kind


def forms(hook: Any) -> frozenset[str]:
    """Tells what a hook has: "steps", "timed", "stateful", "told" (of failures)."""

    def has(*methods: str) -> bool:
        return all(callable(getattr(hook, method, None)) for method in methods)

    found = {
        "steps": has("next_step"),
        "timed": getattr(hook, "every_secs", None) is not None,
        "stateful": has("get_state", "set_state"),
        "told": has("failed"),
    }
    return frozenset(form for form, there in found.items() if there)


KIND = Kind("hook", HookCase, clauses, forms=forms)
