"""Formats, policies and exporters that fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from expcore import Policy, typed
from expcore.types import Exporter, Format, History, Metrics


@typed.exporter
class Bare:
    def __init__(self, filename: str = "a.txt") -> None:
        self.filename = filename

    def write(self, estimator: Any, directory: str) -> None:
        return


@typed.exporter
class Full:
    def write(
        self,
        estimator: Any,
        directory: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
    ) -> None:
        return


@typed.exporter
class OfCheckpoint:
    def write(self, model: object, to: str, checkpoint_path: str | None) -> None:
        return


@typed.exporter
class OfResult:
    def write(self, estimator: Any, directory: str, *, eval_result: Mapping[str, float] | None) -> None:
        return


@typed.exporter
class OfBoth:
    def write(
        self, estimator: Any, directory: str, eval_result: Metrics | None, checkpoint_path: str | None
    ) -> None:
        return


@typed.exporter
class FromFormat(Format):
    """Derived, with one parameter more."""

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        return


@typed.exporter
class WhenGood(Policy):
    default_name = "when_good"

    def __init__(self, of: Format, threshold: float = 0.5, name: str | None = None) -> None:
        super().__init__(of, name, 5)
        self.threshold = threshold

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        return bool(eval_result) and final


@typed.exporter
class ByItself:
    name = "by_itself"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
    ) -> str:
        return export_path


@typed.exporter
class WithHistory:
    @property
    def name(self) -> str:
        return "with_history"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
        *,
        history: History | None,
    ) -> str | None:
        return None


@typed.exporter
def bare(filename: str) -> Bare:
    return Bare(filename)


@typed.exporter
def either(bare: bool) -> Format | Exporter:
    return Bare() if bare else ByItself()


assert_type(Bare("b"), Bare)
assert_type(Bare(filename="b").filename, str)
assert_type(WhenGood(Full(), threshold=1).threshold, float)
assert_type(bare(filename="b"), Bare)
assert_type(either(True), Format | Exporter)
WhenGood(Bare())
WhenGood(FromFormat())
