"""An estimator of a few NumPy lines, with which every schedule runs in milliseconds."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from expcore.clock import RealClock
from expcore.cluster import RunConfig, config_value
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    InvalidArgument,
    InvalidInput,
    NotTrained,
)
from expcore.loop import Advance, SaveRhythm, TrainingLoop
from expcore.pins import Pins
from expcore.reading import reading_run, told
from expcore.types import Clock, InputFn, Metrics, is_hook

_LOG = logging.getLogger(__name__)

BATCH = 32


class LinearModel:
    """A linear or logistic regression: ``weights`` of shape [features + 1], the bias last."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.weights: np.ndarray | None = None

    def predict(self, x: Any) -> np.ndarray:
        """Returns predictions of shape [batch]; probabilities of class 1 for a logistic model."""
        if self.weights is None:
            raise NotTrained("the model has no weights yet; train it first")
        z = np.asarray(x, float) @ self.weights[:-1] + self.weights[-1]
        return np.asarray(1 / (1 + np.exp(-z)) if self.kind == "logistic" else z)

    def losses(self, x: Any, y: Any) -> np.ndarray:
        """Returns the loss of each example: squared error, or cross-entropy."""
        p = self.predict(x)
        if self.kind == "linear":
            return np.asarray((p - y) ** 2)
        p = np.clip(p, 1e-7, 1 - 1e-7)
        return np.asarray(-(y * np.log(p) + (1 - y) * np.log(1 - p)))


class _Engine:
    """The engine of the training loop, and the checkpoints."""

    def __init__(self, estimator: NumpyEstimator) -> None:
        self.model = LinearModel(estimator.kind)
        self.model_dir = estimator.model_dir
        self.step = 0
        self._rate = estimator.learning_rate
        self._keep = config_value(estimator.config, "keep_checkpoint_max")
        self._pins = Pins(estimator.model_dir, estimator._clock)
        self._hooks: dict[str, Any] = {}
        self._loss = float("nan")
        self._input_fn: InputFn | None = None
        self._batches: Iterator[tuple[np.ndarray, np.ndarray]] = iter(())
        self._taken = 0
        self._goes_on = False

    def feed(self, input_fn: InputFn) -> None:
        """Goes on with the data, or begins anew where nothing is left of it or it is another."""
        skip = self._taken if self._input_fn is None else 0
        self._goes_on = input_fn is self._input_fn or skip > 0
        if input_fn is not self._input_fn:
            self._begin(input_fn)
            self._taken = sum(1 for _ in islice(self._batches, skip))

    def _begin(self, input_fn: InputFn) -> None:
        self._input_fn, self._batches, self._taken = input_fn, batches(input_fn), 0

    def advance(self, n: int) -> Advance:
        """Makes at most n steps."""
        done = self._make(n)
        if not done and self._goes_on and self._input_fn is not None:
            self._begin(self._input_fn)
            done = self._make(n)
        self._goes_on = False
        return Advance(done, done == n, lambda: {"loss": self._loss})

    def _make(self, n: int) -> int:
        done = 0
        for x, y in islice(self._batches, n):
            self._train(x, y)
            done += 1
        self.step += done
        self._taken += done
        return done

    def _train(self, x: np.ndarray, y: np.ndarray) -> None:
        if self.model.weights is None:
            self.model.weights = np.zeros(x.shape[1] + 1)
        self._loss = float(self.model.losses(x, y).mean())
        error = (self.model.predict(x) - y) * (2 if self.model.kind == "linear" else 1)
        gradient = np.append(x.T @ error, error.sum()) / len(y)
        self.model.weights = self.model.weights - self._rate * gradient

    def hook_states(self) -> Mapping[str, Any]:
        """The hooks' states of the restored checkpoint."""
        return self._hooks

    def save(self, hook_states: Mapping[str, Any]) -> str:
        """Writes ckpt-<step>.json by rename."""
        weights = None if self.model.weights is None else self.model.weights.tolist()
        state = {"step": self.step, "weights": weights, "taken": self._taken, "hooks": dict(hook_states)}
        text = json.dumps(state)
        path = Path(self.model_dir, f"ckpt-{self.step}.json")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".tmp").write_text(text)
            os.replace(path.with_suffix(".tmp"), path)
        except OSError as error:
            raise CannotWrite(f"{path}: the checkpoint cannot be written ({error})") from error
        if self._keep:
            with self._pins.hold() as pinned:
                for old in map(Path, checkpoints(self.model_dir)[: -self._keep]):
                    if old.name not in pinned:  # else it goes with a later save
                        old.unlink(missing_ok=True)
        # As a restart would find them, whatever the hooks go on to do with what they gave.
        self._hooks = json.loads(text)["hooks"]
        return str(path)

    def restore(self, path: str) -> None:
        """Takes over a checkpoint's state."""
        state = read_checkpoint(path)
        self.step, self._taken, self._hooks = state["step"], state["taken"], state["hooks"]
        self.model.weights = state["weights"]


def checkpoints(model_dir: str) -> list[str]:
    """Returns the paths of the checkpoints in a directory, in the order of their steps."""
    paths = Path(model_dir).glob("ckpt-*.json")
    return [str(p) for p in sorted(paths, key=lambda p: int(p.stem.partition("-")[2]))]


def read_checkpoint(path: str) -> dict[str, Any]:
    """Returns the state in a checkpoint file.

    Raises:
        CheckpointCorrupt: the file is gone or damaged.
    """
    try:
        state = json.loads(Path(path).read_text())
        weights = state["weights"]
        return {
            "step": int(state["step"]),
            "taken": int(state["taken"]),
            "hooks": dict(state["hooks"]),
            "weights": None if weights is None else np.asarray(weights, float),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointCorrupt(f"checkpoint {path}: it cannot be read ({error}); use another") from error


def batches(input_fn: InputFn) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (x, y) of shapes [batch, features] and [batch] from arrays or an iterable of batches.

    Args:
        input_fn: returns a tuple of two arrays, which is cut into batches of ``BATCH``, or an iterable of
            such tuples, which are the batches.

    Raises:
        InvalidInput: it returned something else, or arrays of other shapes.
    """
    data = input_fn()
    if isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], tuple):
        x, y = _checked(data)
        yield from ((x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(y), BATCH))
    elif isinstance(data, Iterable):
        yield from map(_checked, data)
    else:
        raise InvalidInput(f"input_fn returned {type(data).__name__}; {_INPUT_RULE}")


_INPUT_RULE = (
    "it must return a tuple of features [examples, features] and labels [examples], "
    "or an iterable of such tuples"
)


def _checked(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        x, y = (np.asarray(part, float) for part in batch)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"input_fn gave {type(batch).__name__} as a batch ({error}); {_INPUT_RULE}"
        ) from error
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise InvalidInput(f"input_fn gave shapes {x.shape} and {y.shape}; {_INPUT_RULE}")
    return x, y


class NumpyEstimator:
    """Linear or logistic regression by plain SGD, with JSON checkpoints; needs no TensorFlow.

    Args:
        model_dir: where checkpoints go; None: the config's, or a temporary directory.
        config: a RunConfig.
        kind: "linear" (squared error) or "logistic" (labels 0 and 1).
        learning_rate: of SGD.
        clock: gives time to the training loop.
    """

    capabilities = frozenset({"reproducible", "exact_resume", "checkpoint_rhythm"})

    def __init__(
        self,
        model_dir: str | None = None,
        config: Any = None,
        *,
        kind: str = "linear",
        learning_rate: float = 0.1,
        clock: Clock | None = None,
    ) -> None:
        if kind not in ("linear", "logistic"):
            raise InvalidArgument(f"kind is {kind!r}; it must be 'linear' or 'logistic'")
        model_dir = model_dir or config_value(config, "model_dir") or tempfile.mkdtemp(prefix="expcore-")
        self.model_dir = str(model_dir)
        self.config = RunConfig(model_dir=self.model_dir) if config is None else config
        self.kind, self.learning_rate = kind, learning_rate
        self._clock: Clock = clock or RealClock()
        self._engine: _Engine | None = None

    def supports_hook(self, hook: Any) -> bool:
        """Whether it is a hook that needs no TensorFlow."""
        return is_hook(hook) and getattr(hook, "requires", None) is None

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> NumpyEstimator:
        """Trains for ``steps`` more steps or until ``max_steps``; both: InvalidArgument."""
        if steps is not None and max_steps is not None:
            raise InvalidArgument(f"steps={steps} and max_steps={max_steps}: give only one of them")
        engine = self._restored_engine()
        if max_steps is not None and engine.step >= max_steps:
            return self
        engine.feed(input_fn)
        loop = TrainingLoop(
            engine,
            list(hooks or ()),
            saving_listeners=list(saving_listeners or ()),
            until=max_steps if steps is None else engine.step + steps,
            save=SaveRhythm(
                config_value(self.config, "save_checkpoints_steps"),
                config_value(self.config, "save_checkpoints_secs"),
            ),
            clock=self._clock,
        )
        self._engine = None  # steps that a failure left unsaved are not gone on from
        loop.run()
        self._engine = engine
        return self

    def _restored_engine(self) -> _Engine:
        if self._engine is None:
            self._engine = self._restore()
        return self._engine

    def _restore(self) -> _Engine:
        """Returns an engine that goes on from the newest checkpoint that can be read."""
        engine, failures = _Engine(self), []
        paths = self._paths()
        for path in reversed(paths):
            try:
                engine.restore(path)
            except CheckpointCorrupt as error:
                failures.append(error)
                continue
            for damaged in paths[paths.index(path) + 1 :]:  # else it would be the latest for ever
                _LOG.warning("checkpoint %s cannot be read: it is set aside, %s is used", damaged, path)
                os.replace(damaged, f"{damaged}.damaged")
            return engine
        if failures:
            raise CheckpointCorrupt(
                f"none of the {len(paths)} checkpoints in {self.model_dir!r} can be read; bring one back, or "
                "remove them to begin anew"
            ) from failures[0]
        return engine

    def checkpoints(self) -> list[str]:
        """Returns the paths of the checkpoints, oldest first."""
        return self._paths()

    def _paths(self) -> list[str]:
        return checkpoints(self.model_dir)

    def latest_checkpoint(self) -> str | None:
        """Returns the newest checkpoint's path; None without one."""
        found = self.checkpoints()
        return found[-1] if found else None

    def _model_of(self, checkpoint_path: str | None) -> tuple[LinearModel, int]:
        path = checkpoint_path or self.latest_checkpoint()
        if path is None:
            raise NotTrained(f"there is no checkpoint in {self.model_dir!r}; train first")
        state = read_checkpoint(path)
        model = LinearModel(self.kind)
        model.weights = state["weights"]
        return model, state["step"]

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        """Returns loss (and accuracy of a logistic model) over at most ``steps`` batches.

        Hooks are given ``begin``, and ``after_steps`` and ``end`` once after the last batch, or ``failed``.
        """
        model, step = self._model_of(checkpoint_path)
        run = reading_run(step, model, self.model_dir, self._clock)
        with told(run, list(hooks or ())):
            metrics = self._measured(model, input_fn, steps)
            run.made(Advance(1, False, lambda: metrics))
        return {**metrics, "global_step": step}

    def _measured(self, model: LinearModel, input_fn: InputFn, steps: int | None) -> dict[str, float]:
        losses: list[float] = []
        right: list[bool] = []
        for x, y in islice(batches(input_fn), steps):
            losses.extend(model.losses(x, y))
            right.extend((model.predict(x) > 0.5) == (y > 0.5))
        if not losses:
            raise InvalidInput("the evaluation's input_fn gave no batch")
        metrics = {"loss": float(np.mean(losses))}
        if self.kind == "logistic":
            metrics["accuracy"] = float(np.mean(right))
        return metrics

    def predict(self, input_fn: InputFn, checkpoint_path: str | None = None) -> Iterator[float]:
        """Yields one prediction an example."""
        model, _ = self._model_of(checkpoint_path)
        for x, _ in batches(input_fn):
            yield from (float(p) for p in model.predict(x))

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[LinearModel]:
        """Gives the model with a checkpoint's weights; the training state is not touched."""
        yield self._model_of(checkpoint_path)[0]

    def with_model_dir(self, path: str) -> NumpyEstimator:
        """Returns a copy in another directory that shares nothing."""
        config = self.config.replace(model_dir=path) if isinstance(self.config, RunConfig) else None
        return NumpyEstimator(
            path, config, kind=self.kind, learning_rate=self.learning_rate, clock=self._clock
        )
