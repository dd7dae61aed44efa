"""A predicate that keeps every promise, and one that breaks each."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.acts import ON_FILES, ON_THE_PROCESS
from expcore.conformance.mutants.mutant import Mutant, Proof


@dataclass(frozen=True)
class UntilLoss:
    """The reference: goes on until a recorded loss is at or below a threshold."""

    threshold: float = 0.05

    def __call__(self, eval_result: Any, history: Any = None) -> bool:
        """Goes on while no recorded loss is low enough."""
        losses = [e.metrics["loss"] for e in history.evaluations] if history is not None else []
        if eval_result:
            losses.append(eval_result["loss"])
        return not any(float(loss) <= self.threshold for loss in losses)


class Counting:
    """Keeps the number of its calls."""

    def __init__(self, most: int) -> None:
        self.calls, self.most = 0, most

    def __call__(self, eval_result: Any) -> bool:
        """Goes on for some calls."""
        self.calls += 1
        return self.calls < self.most


class Remembering:
    """Keeps the steps that it has seen, so that it answers alike when asked twice, not after a restart."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.steps: set[int] = set()

    def __call__(self, eval_result: Any) -> bool:
        """Goes on until it has seen so many steps."""
        if eval_result:
            self.steps.add(int(eval_result["global_step"]))
        return len(self.steps) < self.most


class Patient:
    """Keeps the best value and for how long there was none, instead of working them out."""

    def __init__(self, patience: int, metric: str = "loss", sign: int = 1) -> None:
        self.patience, self.metric, self.sign = patience, metric, sign
        self.best, self.bad, self.last = float("inf"), 0, -1

    def __call__(self, eval_result: Any) -> bool:
        """Goes on until there was no improvement for so many evaluations."""
        if eval_result and eval_result["global_step"] != self.last:
            self.last = eval_result["global_step"]
            value = self.sign * eval_result[self.metric]
            self.bad = 0 if value < self.best else self.bad + 1
            self.best = min(self.best, value)
        return self.bad < self.patience


def _loss(eval_result: Any) -> float:
    return float(eval_result["loss"]) if eval_result else float("inf")


def _forgets_none(eval_result: Any) -> bool:
    return bool("loss" not in eval_result or eval_result["loss"] > 0.05)


def _forgets_empty(eval_result: Any) -> bool:
    return bool(eval_result is None or eval_result["loss"] > 0.05)


def _asks_for_more(eval_result: Any, patience: int) -> bool:
    return _loss(eval_result) > 0.05 * patience


def _wants_bleu(eval_result: Any) -> bool:
    return bool(not eval_result or eval_result["bleu"] < 0.9)


def _forgets_to_return(eval_result: Any) -> Any:
    if _loss(eval_result) > 1e9:
        return True
    return None


def _pops(eval_result: Any) -> bool:
    if isinstance(eval_result, dict):
        eval_result.pop("loss", None)
    return True


def _wants_a_dict(eval_result: Any) -> bool:
    return eval_result is None or isinstance(eval_result, dict)


def _wants_python_numbers(eval_result: Any) -> bool:
    return not eval_result or type(eval_result["loss"]) is float


def _rounds(eval_result: Any) -> bool:
    return not eval_result or int(eval_result["loss"] * 100) > 5


def _writes(eval_result: Any) -> bool:
    Path("last.txt").write_text(str(eval_result))
    return True


def _sets_the_environment(eval_result: Any) -> bool:
    os.environ["LAST_LOSS"] = str(_loss(eval_result))
    return True


def _does(act: Callable[[], Any]) -> Sample:
    """A sample of a predicate that does something else besides."""

    def predicate(_eval_result: Any) -> bool:
        act()
        return True

    return Sample(component=predicate)


def _touches(_eval_result: Any, checkpoint_path: Any) -> bool:
    if checkpoint_path is not None:
        os.utime(checkpoint_path)
    return True


def _looks_at_the_checkpoint(eval_result: Any, checkpoint_path: Any) -> bool:
    return not eval_result or not os.path.isdir(checkpoint_path)


def _made(make: Callable[..., Any]) -> Sample:
    return Sample(factory=make)


def _of(function: Callable[..., Any]) -> Sample:
    return Sample(component=function)


PROOF = Proof(
    references={"until_loss": Sample(UntilLoss()), "a function": _of(lambda _: True)},
    mutants=(
        Mutant("PRE-001", "is a number", _made(lambda: 3)),
        Mutant("PRE-001", "is a class", _made(lambda: UntilLoss)),
        Mutant("PRE-002", "needs an option", _of(_asks_for_more)),
        Mutant("PRE-002", "takes nothing", _of(lambda: True)),
        Mutant("PRE-003", "raises on None", _of(_forgets_none)),
        Mutant("PRE-004", "raises on {}", _of(_forgets_empty)),
        Mutant("PRE-005", "needs a metric that is not there", _of(_wants_bleu)),
        Mutant("PRE-006", "forgets to return", _of(_forgets_to_return)),
        *(
            Mutant("PRE-007", f"ends after {n} calls", _made(partial(Counting, n)), also=("PRE-008",))
            for n in (3, 20, 50, 100)
        ),
        *(
            Mutant("PRE-008", f"ends after {n} steps that it saw", _made(partial(Remembering, n)))
            for n in (3, 5, 20)
        ),
        *(
            Mutant("PRE-008", f"keeps a patience of {n} in memory", _made(partial(Patient, n)))
            for n in (1, 2, 3, 4, 5, 10, 20)
        ),
        Mutant("PRE-008", "keeps the best accuracy", _made(partial(Patient, 3, "accuracy", -1))),
        Mutant("PRE-009", "changes the result", _of(_pops)),
        Mutant("PRE-010", "knows only dicts", _of(_wants_a_dict)),
        Mutant("PRE-011", "knows only Python's numbers", _of(_wants_python_numbers)),
        Mutant("PRE-012", "converts to an int", _of(_rounds)),
        Mutant("PRE-013", "writes a file", _of(_writes)),
        Mutant("PRE-013", "sets a variable of the environment", _of(_sets_the_environment)),
        *(Mutant("PRE-013", breaks, _does(act)) for breaks, act in {**ON_THE_PROCESS, **ON_FILES}.items()),
        Mutant("PRE-013", "touches the checkpoint", _of(_touches)),
        Mutant("PRE-014", "needs a checkpoint", _of(_looks_at_the_checkpoint)),
    ),
)
