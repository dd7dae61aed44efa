"""The promises of an observer about what it answers: components, hooks, adapted hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expcore.conformance.observers.case import Foreign, ObserverCase, Quiet
from expcore.conformance.observers.clauses import WHOLE, clauses
from expcore.conformance.observers.watched import marked
from expcore.errors import one_line
from expcore.hookspecs import PROJECT
from expcore.host.discovery import KINDS
from expcore.types import Component, is_hook

_CATALOGUES = {f"{PROJECT}_{kind}": kind for kind in KINDS}


def _catalogues(plugin: Any) -> dict[str, list[tuple[str, Any]]]:
    """What a plugin answers by catalogue: names, and how each is loaded."""
    found = {}
    for hook, function in marked(plugin).items():
        if hook in _CATALOGUES:
            answer = function()
            pairs = answer.items() if isinstance(answer, Mapping) else ((_name(c), c) for c in answer or ())
            found[hook] = list(pairs)
    return found


def _name(component: Any) -> str:
    return component.name if isinstance(component, Component) else f"{component!r}, which is no Component"


@clauses.must(
    10, after=WHOLE, forms=("catalogue",), hint="return a list or a mapping, made anew or kept, not drawn"
)
def answers_catalogues_alike(case: ObserverCase) -> None:
    """It gives the same components each time it is asked, since it is asked again after each plugin."""
    plugin = case.make()
    wanted: dict[str, list[str]] | None = None
    for n in range(4):
        with case.no_error("asked for its components, it"):
            found = {hook: [name for name, _ in pairs] for hook, pairs in _catalogues(plugin).items()}
        if wanted is None:
            wanted = found
        case.require(found == wanted, f"asked {n + 1} times, it gave {found}", f"as at first {wanted}")


@clauses.must(
    11, after=(10,), forms=("catalogue",), hint="letters, digits, _ . and -; give factories, not objects"
)
def gives_components_that_can_be_used(case: ObserverCase) -> None:
    """Its components can be looked up by their names, and what they name can be called."""
    plugin = case.make()
    host = case.host(plugin)
    for hook, pairs in _catalogues(plugin).items():
        there = {component.name: component for component in host.catalogue(_CATALOGUES[hook])}
        failures = [one_line(failure.error) for failure in host.failures]
        case.require(not failures, f"{hook}(): {'; '.join(failures)}", "names and components that are taken")
        for name, _ in pairs:
            case.require(name in there, f"{hook}() gave {name!r}, which cannot be found")
            with case.no_error(f"loading {name!r} of {hook}()"):
                factory = there[name].load()
            case.require(callable(factory), f"{name!r} of {hook}() is {factory!r}", "what can be called")


def _added(case: ObserverCase) -> list[tuple[str, Any]]:
    return [
        (hook, answer)
        for hook, answer in case.lived(rounds=2).answers
        if hook.endswith(("train_hooks", "eval_hooks"))
    ]


@clauses.must(
    12, after=WHOLE, forms=("hooks",), hint="return a list of objects; [] where the estimator is not yours"
)
def adds_hooks_that_are_hooks(case: ObserverCase) -> None:
    """What it adds to a training or an evaluation is None or a list, and everything in it is a hook.

    What the estimator of the trial takes besides is a hook as well.
    """
    estimator = case.experiment(case.host()).estimator
    for hook, answer in _added(case):
        case.require(
            isinstance(answer, list | tuple | None), f"{hook}() returned {answer!r}", "a list, or None"
        )
        for each in answer or ():
            good = is_hook(each) or (hasattr(estimator, "supports_hook") and estimator.supports_hook(each))
            case.require(good, f"{hook}() returned {each!r} among others", "hooks")


@clauses.must(13, after=(12,), forms=("hooks",), hint="make the hooks in the function, not at registration")
def adds_new_hooks_each_time(case: ObserverCase) -> None:
    """It returns new hooks for each training and each evaluation."""
    given: list[Any] = []
    for hook, answer in _added(case):
        for each in answer or ():
            case.require(
                not any(each is one for one in given), f"{hook}() returned {each!r} again", "a new one"
            )
            given.append(each)


@clauses.must(14, after=WHOLE, forms=("adapts",), hint="return None unless it is the estimator that you know")
def leaves_unknown_estimators_to_others(case: ObserverCase) -> None:
    """For an estimator that it does not know it answers None, so that other plugins are asked."""
    host = case.host(case.watch())
    answer = host.first(
        f"{PROJECT}_adapt_hooks", estimator=Foreign(str(case.folder)), hooks=[Quiet(), Quiet()]
    )
    case.require(answer is None, f"it returned {answer!r} for an estimator of an unknown class", "None")


@clauses.must(15, after=WHOLE, forms=("adapts",), hint="[adapted(h) if mine(h) else h for h in hooks]")
def adapts_all_hooks_in_order(case: ObserverCase) -> None:
    """For an estimator that it knows it returns all hooks, in their order."""
    given = [Quiet(), Quiet(), Quiet()]
    host = case.host(case.watch())
    answer = host.first(
        f"{PROJECT}_adapt_hooks", estimator=case.experiment(host).estimator, hooks=list(given)
    )
    if answer is None:
        return
    case.require(isinstance(answer, list | tuple), f"it returned {answer!r}", "a list")
    case.require(len(answer) == len(given), f"of {len(given)} hooks it returned {len(answer)}", "all")
    for n, each in enumerate(answer):
        at = next((i for i, hook in enumerate(given) if hook is each), n)
        case.require(at == n, f"hook {at} of those given is number {n} of those returned", "the same order")
