"""Estimators that evaluate wrongly, or are not found again by an evaluator or after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expcore.conformance.mutants.estimators_base import Changed, fresh_engine, mutant
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import InputFn


class Looking(NumpyEstimator):
    """Base of those that do something about ``evaluate``."""

    def evaluate(self, input_fn: InputFn, *args: Any, **given: Any) -> Any:
        """Evaluates as ``look`` says."""
        names = ("steps", "hooks", "checkpoint_path", "name")
        return self.look(input_fn, {**dict.fromkeys(names), **dict(zip(names, args, strict=False)), **given})

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().evaluate(input_fn, **given)


class NewestOnly(Looking):
    """Ignores the checkpoint it was given."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().look(input_fn, {**given, "checkpoint_path": None})


class OneFile(Changed):
    """Writes every checkpoint over the one before."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        super().fit(input_fn, given)
        *old, latest = self._paths()
        Path(latest).replace(Path(self.model_dir, "ckpt-0.json"))
        for path in old:
            if not path.endswith("ckpt-0.json"):
                Path(path).unlink()
        return self


class WholeInput(Looking):
    """Ignores ``steps``."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().look(input_fn, {**given, "steps": None})


class OneBatch(Looking):
    """Takes None for one batch."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().look(input_fn, {**given, "steps": given["steps"] or 1})


class Averaging(Looking):
    """Never resets its metrics."""

    _losses: tuple[float, ...] = ()

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        found = dict(super().look(input_fn, given))
        self._losses = (*self._losses, found["loss"] + len(self._losses))
        return {**found, "loss": sum(self._losses) / len(self._losses)}


class Naming(Looking):
    """Puts the name into the names of the metrics."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        found = dict(super().look(input_fn, given))
        name = given["name"]
        return {f"{name}/{k}" if name and k == "loss" else k: v for k, v in found.items()}


class Untrained(Looking):
    """Evaluates a model that nobody trained."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        if given["checkpoint_path"] is None and self.latest_checkpoint() is None:
            return {"loss": 1.0, "global_step": 0}
        return super().look(input_fn, given)


class Annotating(Looking):
    """Writes into the checkpoint that it was evaluated."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        found = super().look(input_fn, given)
        path = Path(given["checkpoint_path"] or self.latest_checkpoint() or "")
        path.write_text(path.read_text() + "\n")
        return found


class Tidying(Looking):
    """Removes the checkpoints that it does not evaluate."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        found = super().look(input_fn, given)
        if given["checkpoint_path"] not in (None, self.latest_checkpoint()):
            for path in self._paths():
                if path != given["checkpoint_path"]:
                    Path(path).unlink()
        return found


class Restoring(Looking):
    """Evaluates with the model of the training."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        found = super().look(input_fn, given)
        if self._engine is not None and given["checkpoint_path"] is not None:
            self._engine.restore(given["checkpoint_path"])
        return found


class Remembering(Changed):
    """Keeps in mind which checkpoint is the latest."""

    _busy = False
    _seen: str | None = None

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        self._busy = True
        try:
            return super().fit(input_fn, given)
        finally:
            self._busy, self._seen = False, None

    def latest_checkpoint(self) -> str | None:
        """Returns what it has in mind."""
        if self._busy:
            return super().latest_checkpoint()
        self._seen = self._seen or super().latest_checkpoint()
        return self._seen


class OwnOnly(Changed):
    """Knows only the checkpoints that it wrote itself."""

    _trained = False

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        self._trained = True
        return super().fit(input_fn, given)

    def latest_checkpoint(self) -> str | None:
        """Returns its own."""
        return super().latest_checkpoint() if self._trained else None


class Beginner(Changed):
    """Begins at step 0 after each restart."""

    _trained = False

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        super().fit(input_fn, given)
        self._trained = True
        return self

    def _restore(self) -> Any:
        return super()._restore() if self._trained else fresh_engine(self)


EVALUATING = (
    mutant(17, "ignores the checkpoint it was given", NewestOnly),
    mutant(17, "writes every checkpoint over the one before", OneFile),
    mutant(18, "ignores steps", WholeInput),
    mutant(18, "takes None for one batch", OneBatch),
    mutant(19, "never resets its metrics", Averaging),
    mutant(19, "puts the name into the names of metrics", Naming),
    mutant(20, "evaluates a model that nobody trained", Untrained),
    mutant(21, "writes into the checkpoint", Annotating),
    mutant(21, "removes other checkpoints", Tidying),
    mutant(22, "evaluates with the model of the training", Restoring),
    mutant(23, "keeps in mind which is the latest", Remembering),
    mutant(24, "knows only what it wrote itself", OwnOnly),
    mutant(25, "begins at step 0 after a restart", Beginner),
)
