"""What is neither a format nor an exporter."""

from __future__ import annotations

from typing import Any

from expcore import Policy, typed
from expcore.types import Format, History, Metrics


@typed.exporter  # wrong
class Neither:
    def save(self, estimator: Any, directory: str) -> None:
        return


@typed.exporter  # wrong
class WithoutDirectory:
    def write(self, estimator: Any) -> None:
        return


@typed.exporter  # wrong
class DirectoryOfAnotherType:
    def write(self, estimator: Any, directory: int) -> None:
        return


@typed.exporter  # wrong
class ReturnsAPath:
    def write(self, estimator: Any, directory: str) -> str:
        return directory


@typed.exporter  # wrong
class NeedsMore:
    def write(self, estimator: Any, directory: str, filename: str) -> None:
        return


@typed.exporter  # wrong
class CheckpointCannotBeNone:
    def write(self, estimator: Any, directory: str, checkpoint_path: str) -> None:
        return


@typed.exporter  # wrong
class ResultOfAnotherType:
    def write(self, estimator: Any, directory: str, eval_result: float) -> None:
        return


@typed.exporter  # wrong
class WithoutName:
    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
    ) -> str | None:
        return None


@typed.exporter  # wrong
class NeverFinal:
    name = "never_final"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
    ) -> str | None:
        return None


@typed.exporter  # wrong
class CallsAParameterOtherwise:
    name = "calls_a_parameter_otherwise"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
    ) -> str | None:
        return None


@typed.exporter  # wrong
class ReturnsAVersion:
    name = "returns_a_version"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
    ) -> int:
        return 1


@typed.exporter
class WrongPolicy(Policy):
    def wants(self, eval_result: Metrics, history: History | None, final: bool) -> bool:  # wrong
        return final


class Derived(Format):
    def write(self, estimator: Any, directory: int) -> None:  # wrong
        return


@typed.exporter  # wrong
def factory_of_something_else() -> Neither:
    return Neither()


@typed.exporter
class Exact:
    def __init__(self, filename: str) -> None:
        self.filename = filename

    def write(self, estimator: Any, directory: str) -> None:
        return


typed.exporter(Exact("a.txt"))  # wrong
Exact(file="a.txt")  # wrong
