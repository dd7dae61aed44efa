"""The schedules as methods of an experiment: each runs the installed schedule of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ALIASES = {
    "local_run": "train_and_evaluate",
    "continuous_train_and_eval": "continuous_train_and_evaluate",
    "serve": "run_std_server",
}
"""Older names of schedules, as methods and for ``run``."""

NOT_GIVEN: Any = type("NotGiven", (), {"__repr__": lambda _: "not given"})()
"""Stands for an argument that the caller left out, so that a schedule's own default holds."""


class ScheduleMethods:
    """One method a schedule; replacing the plugin changes the method.

    A method passes on only what its caller gave; keywords that it does not know go to the schedule as well.
    """

    run: Callable[..., Any]

    def _run(self, schedule: str, options: Mapping[str, Any]) -> Any:
        return self.run(schedule, **{k: v for k, v in options.items() if v is not NOT_GIVEN})

    def train(self, delay_secs: float | None = NOT_GIVEN, **options: Any) -> Any:
        """Trains until ``train_steps``; returns the estimator. ``docs/schedules.md`` has each schedule."""
        return self._run("train", {"delay_secs": delay_secs, **options})

    def evaluate(
        self, delay_secs: float | None = NOT_GIVEN, name: str | None = NOT_GIVEN, **options: Any
    ) -> Any:
        """Evaluates the latest checkpoint once; returns the result. Never exports."""
        return self._run("evaluate", {"delay_secs": delay_secs, "name": name, **options})

    def continuous_eval(
        self,
        delay_secs: float | None = NOT_GIVEN,
        throttle_delay_secs: float | None = NOT_GIVEN,
        evaluate_checkpoint_only_once: bool = NOT_GIVEN,
        continuous_eval_predicate_fn: Callable[..., bool] | None = NOT_GIVEN,
        name: str | None = NOT_GIVEN,
        **options: Any,
    ) -> Any:
        """Evaluates and exports checkpoints as they come; returns the last result."""
        given = {
            "delay_secs": delay_secs,
            "throttle_delay_secs": throttle_delay_secs,
            "evaluate_checkpoint_only_once": evaluate_checkpoint_only_once,
            "continuous_eval_predicate_fn": continuous_eval_predicate_fn,
            "name": name,
        }
        return self._run("continuous_eval", given | options)

    def continuous_eval_on_train_data(
        self,
        delay_secs: float | None = NOT_GIVEN,
        throttle_delay_secs: float | None = NOT_GIVEN,
        continuous_eval_predicate_fn: Callable[..., bool] | None = NOT_GIVEN,
        name: str | None = NOT_GIVEN,
        **options: Any,
    ) -> Any:
        """The same on the training data; never exports."""
        given = {
            "delay_secs": delay_secs,
            "throttle_delay_secs": throttle_delay_secs,
            "continuous_eval_predicate_fn": continuous_eval_predicate_fn,
            "name": name,
        }
        return self._run("continuous_eval_on_train_data", given | options)

    def train_and_evaluate(self, **options: Any) -> Any:
        """Trains and evaluates in between; returns the last result and the last exports."""
        return self._run("train_and_evaluate", options)

    def continuous_train_and_evaluate(
        self, continuous_eval_predicate_fn: Callable[..., bool] | None = NOT_GIVEN, **options: Any
    ) -> Any:
        """Trains and evaluates in turn; returns the last result and the last exports."""
        given = {"continuous_eval_predicate_fn": continuous_eval_predicate_fn}
        return self._run("continuous_train_and_evaluate", given | options)

    def run_std_server(self, **options: Any) -> Any:
        """Serves as a TensorFlow server until training is over."""
        return self._run("run_std_server", options)

    def test(self, **options: Any) -> Any:
        """Trains one step, evaluates one and exports, on a copy where there can be one."""
        return self._run("test", options)

    def __getattr__(self, name: str) -> Any:
        if name in ALIASES:
            return getattr(self, ALIASES[name])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
