"""Estimators that do not go on as they were, or depend on where their directory lies."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from expcore.conformance.mutants.estimators_base import Changed, fresh_engine, mutant
from expcore.conformance.mutants.estimators_evaluating import Looking
from expcore.errors import CheckpointCorrupt
from expcore.testing.numpy_estimator import NumpyEstimator, checkpoints
from expcore.types import InputFn

_ENGINES: dict[Path, Any] = {}


class Shared(NumpyEstimator):
    """Keeps its state for all estimators in neighbouring directories."""

    @property
    def _engine(self) -> Any:
        return _ENGINES.get(Path(self.model_dir).parent)

    @_engine.setter
    def _engine(self, engine: Any) -> None:
        if engine is not None or Path(self.model_dir).is_dir():
            _ENGINES[Path(self.model_dir).parent] = engine


class Unseeded(NumpyEstimator):
    """Draws its learning rate without the seed."""

    def __init__(self, model_dir: str, config: Any) -> None:
        rate = random.SystemRandom().uniform(0.02, 0.2)
        super().__init__(model_dir, config, learning_rate=rate)


class Tiring(Looking):
    """Learns less after each evaluation."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        if self._engine is not None:
            self._engine._rate *= 0.5
        return super().look(input_fn, given)


class Misplaced(NumpyEstimator):
    """Begins the data anew after a restart."""

    def _restore(self) -> Any:
        engine = super()._restore()
        engine._taken = 0
        return engine


class Reopening(Changed):
    """Begins the data anew in each call."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        return super().fit(lambda: input_fn(), given)


class AtTheEnd(NumpyEstimator):
    """Saves at the end only."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config.replace(save_checkpoints_steps=None))


class Hoarding(NumpyEstimator):
    """Keeps every checkpoint."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config.replace(keep_checkpoint_max=0))


class Sparing(NumpyEstimator):
    """Takes 0 for the newest alone."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config.replace(keep_checkpoint_max=config.keep_checkpoint_max or 1))


class Ascii(NumpyEstimator):
    """Knows only English letters."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir.encode("ascii").decode(), config)


class Splitting(NumpyEstimator):
    """Separates paths by spaces."""

    def _paths(self) -> list[str]:
        return " ".join(super()._paths()).split()


class Parentless(Changed):
    """Makes its directory, but none above it."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        Path(self.model_dir).mkdir(exist_ok=True)
        return super().fit(input_fn, given)


class Rooted(Changed):
    """Writes down where its directory lies, and believes it."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        home = Path(self.model_dir, "home.txt")
        home.parent.mkdir(parents=True, exist_ok=True)
        if not home.exists():
            home.write_text(self.model_dir)
        return super().fit(input_fn, given)

    def _paths(self) -> list[str]:
        home = Path(self.model_dir, "home.txt")
        return checkpoints(home.read_text() if home.exists() else self.model_dir)


class Diarist(Changed):
    """Writes beside its directory."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        super().fit(input_fn, given)
        Path(f"{self.model_dir}.log").write_text("trained")
        return self


class Wandering(Changed):
    """Changes the working directory."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        super().fit(input_fn, given)
        os.chdir(self.model_dir)
        return self


class Setting(Changed):
    """Sets a variable of the environment."""

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        os.environ["TRAINED_IN"] = self.model_dir
        return super().fit(input_fn, given)


class Configured(NumpyEstimator):
    """Sets a variable of the environment when it is made."""

    def __init__(self, model_dir: str, config: Any) -> None:
        super().__init__(model_dir, config)
        os.environ["MADE_IN"] = model_dir


class Substituting(Looking):
    """Evaluates the latest where it cannot read another."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        try:
            return super().look(input_fn, given)
        except CheckpointCorrupt:
            return super().look(input_fn, {**given, "checkpoint_path": None})


class Vague(Looking):
    """Raises what reading raised."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        try:
            return super().look(input_fn, given)
        except CheckpointCorrupt as error:
            raise OSError(str(error)) from error


class Reckless(NumpyEstimator):
    """Begins anew where it can read nothing."""

    def _restore(self) -> Any:
        try:
            return super()._restore()
        except CheckpointCorrupt:
            return fresh_engine(self)


class Stubborn(NumpyEstimator):
    """Goes on from the newest or not at all."""

    def _restore(self) -> Any:
        engine = fresh_engine(self)
        latest = self.latest_checkpoint()
        if latest is not None:
            engine.restore(latest)
        return engine


class Leaving(NumpyEstimator):
    """Goes on from the one before, and leaves the damaged one where it was, of the higher step."""

    def _restore(self) -> Any:
        for path in reversed(self._paths()):
            engine = fresh_engine(self)
            try:
                engine.restore(path)
            except CheckpointCorrupt as error:
                failure = error
                continue
            return engine
        if self._paths():
            raise failure
        return fresh_engine(self)


LASTING = (
    mutant(26, "keeps its state for all", Shared),
    mutant(27, "draws a number without the seed", Unseeded),
    mutant(28, "learns less after each evaluation", Tiring),
    mutant(29, "begins the data anew after a restart", Misplaced),
    mutant(30, "begins the data anew in each call", Reopening),
    mutant(31, "saves at the end only", AtTheEnd),
    mutant(32, "keeps every checkpoint", Hoarding),
    mutant(32, "takes 0 for the newest alone", Sparing),
    mutant(33, "knows only English letters", Ascii),
    mutant(33, "separates paths by spaces", Splitting),
    mutant(33, "makes no directory above its own", Parentless),
    mutant(34, "believes in where its directory was", Rooted),
    mutant(35, "writes beside its directory", Diarist),
    mutant(35, "changes the working directory", Wandering),
    mutant(35, "sets a variable of the environment", Setting),
    mutant(35, "sets a variable when it is made", Configured),
    mutant(36, "evaluates the latest instead", Substituting),
    mutant(37, "raises what reading raised", Vague),
    mutant(38, "begins anew where it can read nothing", Reckless),
    mutant(39, "goes on from the newest or not at all", Stubborn),
    mutant(39, "leaves a damaged checkpoint the latest", Leaving),
)
