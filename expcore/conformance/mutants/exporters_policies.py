"""Policies that keep every promise, and some that break one each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from expcore.clock import RealClock
from expcore.conformance.case import Sample
from expcore.conformance.mutants.exporters_formats import Json
from expcore.conformance.mutants.mutant import Mutant
from expcore.publish import Policy, publish


class Once(Policy):
    """The reference of policies: exports every checkpoint once."""

    default_name = "once"

    def wants(self, eval_result: Any, history: Any, final: bool) -> Any:
        """Whether it was not exported yet."""
        return not self.already_exported(history)


class Lowest(Once):
    """Another: exports the checkpoint that has the lowest loss of all so far."""

    def wants(self, eval_result: Any, history: Any, final: bool) -> Any:
        """Whether no recorded loss is lower."""
        losses = [e.metrics["loss"] for e in history.evaluations] if history is not None else []
        return super().wants(eval_result, history, final) and eval_result["loss"] <= min(losses, default=1e9)


def _policy(**methods: Any) -> Sample:
    return Sample(factory=type("Mutant", (Once,), methods))


class _Counts(Once):
    calls = 0

    def wants(self, eval_result: Any, history: Any, final: bool) -> Any:
        self.calls += 1
        return self.calls % 3 == 1 and super().wants(eval_result, history, final)


class _Remembers(Once):
    best = float("inf")

    def wants(self, eval_result: Any, history: Any, final: bool) -> Any:
        self.best = min(self.best, eval_result["loss"])
        return eval_result["loss"] <= self.best and super().wants(eval_result, history, final)


def _forgets_to_return(self: Once, eval_result: Any, history: Any, final: bool) -> Any:
    if not self.already_exported(history) and eval_result["global_step"] != 20:
        return True
    return None


def _needs_a_log(self: Once, eval_result: Any, history: Any, final: bool) -> bool:
    return not history.exported(self.name, history.checkpoint.id)


def _publishes(keep: bool, checkpoint: bool) -> Callable[..., Any]:
    """An ``export`` of a policy that forgets something."""

    def export(
        self: Once,
        estimator: Any,
        export_path: str,
        checkpoint_path: Any = None,
        eval_result: Any = None,
        is_the_final_export: bool = False,
        history: Any = None,
        clock: Any = None,
    ) -> Any:
        if keep:
            return Policy.export(
                self,
                estimator,
                export_path,
                checkpoint_path if checkpoint else None,
                eval_result,
                is_the_final_export,
                history,
                clock,
            )
        if not self.wants(eval_result, history, is_the_final_export):
            return None
        return publish(
            export_path,
            lambda directory: self.format.write(estimator, directory, checkpoint_path),  # type: ignore[call-arg]
            clock=clock or RealClock(),
        )

    return export


class _OwnFormat(Once):
    def __init__(self, format: Any, name: str | None = None, keep: int | None = 5) -> None:  # noqa: A002
        super().__init__(Json(), name, keep)


class _OwnName(Once):
    def __init__(self, format: Any, keep: int | None = 5) -> None:  # noqa: A002
        super().__init__(format, "own", keep)


class _FormatLast(Once):
    def __init__(self, threshold: float = 0.5, name: str | None = None, *, format: Any) -> None:  # noqa: A002
        super().__init__(format, name)
        self.threshold = threshold


class _IgnoresItsName(Once):
    def __init__(self, format: Any, name: str | None = None, keep: int | None = 5) -> None:  # noqa: A002
        super().__init__(format, "own", keep)


MUTANTS = (
    Mutant("EXP-002", "wants takes less", _policy(wants=lambda self, eval_result: True)),
    Mutant("EXP-005", "never wants to", _policy(wants=lambda self, eval_result, history, final: False)),
    Mutant("EXP-006", "policy forgets the checkpoint", _policy(export=_publishes(True, False))),
    Mutant("EXP-027", "counts its calls", Sample(factory=_Counts)),
    Mutant("EXP-027", "remembers the best", Sample(factory=_Remembers)),
    Mutant("EXP-027", "forgets to return", _policy(wants=_forgets_to_return)),
    Mutant("EXP-028", "exports again", _policy(wants=lambda self, eval_result, history, final: True)),
    Mutant("EXP-029", "needs a log", _policy(wants=_needs_a_log)),
    Mutant("EXP-030", "has a format of its own", Sample(factory=_OwnFormat)),
    Mutant("EXP-031", "keeps all versions", _policy(export=_publishes(False, True))),
    Mutant("EXP-032", "takes no name", Sample(factory=_OwnName)),
    Mutant("EXP-032", "ignores its name", Sample(factory=_IgnoresItsName)),
    Mutant("EXP-033", "takes its format last", Sample(factory=_FormatLast)),
)
