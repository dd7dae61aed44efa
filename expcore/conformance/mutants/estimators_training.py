"""Estimators that train wrongly: too far, not far enough, or with too much that they keep to themselves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from expcore.conformance.mutants.estimators_base import Changed, mutant
from expcore.errors import InvalidArgument, InvalidInput
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import InputFn


class WithoutLatest(NumpyEstimator):
    """Lacks a method."""

    latest_checkpoint: Any = None


class Elsewhere(NumpyEstimator):
    """Chooses its own directory."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(f"{model_dir}/run", config)


class WithoutHooks(NumpyEstimator):
    """Takes no hooks at all."""

    def train(self, input_fn: InputFn, steps: int | None = None, max_steps: int | None = None) -> Any:  # type: ignore[override]
        """Trains."""
        return super().train(input_fn, None, steps, max_steps)


class Eager(NumpyEstimator):
    """Writes its settings when it is made."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config)
        Path(model_dir).mkdir(parents=True, exist_ok=True)
        Path(model_dir, "settings.json").write_text("{}")


class Hopeful(NumpyEstimator):
    """Names the checkpoint that there will be."""

    def latest_checkpoint(self) -> str:
        """Returns a path in any case."""
        return super().latest_checkpoint() or f"{self.model_dir}/ckpt-0.json"


class WithPath(NumpyEstimator):
    """Gives a Path instead of a string."""

    def latest_checkpoint(self) -> Any:
        """Returns a Path."""
        found = super().latest_checkpoint()
        return None if found is None else Path(found)


class NeverSaving(Changed):
    """Leaves no checkpoint behind."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains, and cleans up."""
        super().fit(input_fn, given)
        for path in self._paths():
            Path(path).unlink()
        return self


class ReturningNothing(Changed):
    """Forgets to return itself."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        super().fit(input_fn, given)


class Absolute(Changed):
    """Takes ``steps`` for a global step."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if given["max_steps"] is None:
            given["steps"], given["max_steps"] = None, given["steps"]
        return super().fit(input_fn, given)


class OneMore(Changed):
    """Makes one step too many."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if given["steps"] is not None:
            given["steps"] += 1
        return super().fit(input_fn, given)


class Relative(Changed):
    """Takes ``max_steps`` for steps of the call."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if given["steps"] is None and (given["max_steps"] or 0) > self.step:
            given["steps"], given["max_steps"] = given["max_steps"], None
        return super().fit(input_fn, given)


class Restless(Changed):
    """Makes a step in any case."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if given["max_steps"] is not None and self.step >= given["max_steps"]:
            given["steps"], given["max_steps"] = 1, None
        return super().fit(input_fn, given)


class Indulgent(Changed):
    """Lets one limit win over the other."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if given["steps"] is not None:
            given["max_steps"] = None
        return super().fit(input_fn, given)


class LateToComplain(Changed):
    """Trains before it looks at the limits."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        both = given["steps"] is not None and given["max_steps"] is not None
        super().fit(input_fn, {**given, "max_steps": None} if both else given)
        if both:
            raise InvalidArgument("both limits are given")
        return self


class Repeating(Changed):
    """Begins the input again and again until the steps are made."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        goal = self._restored_engine().step + (given["steps"] or 0)
        super().fit(input_fn, given)
        while self.step < goal and not given["hooks"] and not given["saving_listeners"]:
            super().fit(input_fn, {"steps": goal - self.step})
        return self


class Exhausted(Changed):
    """Holds input that ended once for ended."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config)
        self._ended: list[Any] = []

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        if input_fn in self._ended:
            return self
        goal = self.step + (given["steps"] or 0)
        super().fit(input_fn, given)
        if self.step < goal and not given["hooks"]:
            self._ended.append(input_fn)
        return self


class Forgiving(Changed):
    """Takes unusable input for none."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        try:
            return super().fit(input_fn, given)
        except InvalidInput:
            return self


class Patient(Changed):
    """Takes data that cannot be read for the end of them."""

    kinds: tuple[type[Exception], ...] = (OSError,)

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        try:
            return super().fit(input_fn, given)
        except self.kinds:
            return self


class Lenient(Patient):
    """The same, of other errors."""

    kinds = (KeyError, ArithmeticError)


class OfArrays(Changed):
    """Takes two arrays, and no batches."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        data = input_fn()
        if data is not None:
            _x, _y = data
        return super().fit(input_fn, given)


class OfBatches(NumpyEstimator):
    """Evaluates batches, and no two arrays."""

    def evaluate(self, input_fn: InputFn, *args: Any, **given: Any) -> Any:
        """Evaluates."""
        for _x, _y in input_fn():
            break
        return super().evaluate(input_fn, *args, **given)


class Wrapping(Changed):
    """Raises another error than the input function."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config)
        self._wrapped: dict[Any, InputFn] = {}

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""

        def wrapped() -> Any:
            try:
                return input_fn()
            except Exception as error:
                raise InvalidInput(f"the input function failed: {error}") from error

        return super().fit(self._wrapped.setdefault(input_fn, wrapped), given)


class Cleaning(Changed):
    """Removes everything where training fails."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        try:
            return super().fit(input_fn, given)
        except Exception:
            shutil.rmtree(self.model_dir, ignore_errors=True)
            raise


class Uninterrupted(Changed):
    """Takes Ctrl-C for the end of training."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        try:
            return super().fit(input_fn, given)
        except KeyboardInterrupt:
            return self


class Unstoppable(Changed):
    """Takes the end of the process for an error."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        try:
            return super().fit(input_fn, given)
        except SystemExit as error:
            raise RuntimeError("training failed") from error


class WithoutStep(NumpyEstimator):
    """Gives metrics alone."""

    def evaluate(self, *args: Any, **given: Any) -> Any:
        """Evaluates."""
        return {"loss": super().evaluate(*args, **given)["loss"]}


class WithArray(NumpyEstimator):
    """Gives a metric an example."""

    def evaluate(self, *args: Any, **given: Any) -> Any:
        """Evaluates."""
        found: Mapping[str, Any] = super().evaluate(*args, **given)
        return {**found, "loss": np.full(3, found["loss"])}


class FloatStep(NumpyEstimator):
    """Gives the step as a float."""

    def evaluate(self, *args: Any, **given: Any) -> Any:
        """Evaluates."""
        found: Mapping[str, Any] = super().evaluate(*args, **given)
        return {**found, "global_step": float(found["global_step"])}


TRAINING = (
    mutant(1, "lacks latest_checkpoint", WithoutLatest),
    mutant(1, "chooses its own directory", Elsewhere),
    mutant(2, "takes no hooks", WithoutHooks),
    mutant(3, "writes its settings when it is made", Eager),
    mutant(4, "names a checkpoint that is not there", Hopeful),
    mutant(5, "leaves no checkpoint behind", NeverSaving),
    mutant(5, "gives a Path", WithPath),
    mutant(63, "is trained on two arrays alone", OfArrays),
    mutant(63, "evaluates batches alone", OfBatches),
    mutant(6, "forgets to return itself", ReturningNothing),
    mutant(7, "gives no global_step", WithoutStep),
    mutant(7, "gives an array for a metric", WithArray),
    mutant(7, "gives the step as a float", FloatStep),
    mutant(8, "takes steps for a global step", Absolute),
    mutant(8, "makes one step too many", OneMore),
    mutant(9, "takes max_steps for steps of the call", Relative),
    mutant(10, "makes a step in any case", Restless),
    mutant(11, "lets steps win over max_steps", Indulgent),
    mutant(11, "trains before it looks at the limits", LateToComplain),
    mutant(12, "repeats input that ends", Repeating),
    mutant(13, "holds input that ended for ended", Exhausted),
    mutant(14, "takes unusable input for none", Forgiving),
    mutant(15, "wraps errors of the input function", Wrapping),
    mutant(15, "takes data that cannot be read for ended", Patient),
    mutant(15, "takes data with errors for ended", Lenient),
    mutant(15, "removes everything after an error", Cleaning),
    mutant(16, "swallows KeyboardInterrupt", Uninterrupted),
    mutant(16, "takes the end by a signal for an error", Unstoppable),
)
