"""SklearnEstimator: trains, evaluates and predicts with a scikit-learn model that learns in batches."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np

from expcore.calling import describe
from expcore.clock import RealClock
from expcore.cluster import RunConfig, config_value
from expcore.errors import (
    CheckpointCorrupt,
    InvalidArgument,
    InvalidHook,
    InvalidInput,
    ModelMismatch,
    NotTrained,
    one_line,
)
from expcore.loop import Advance, SaveRhythm, TrainingLoop, check_hooks
from expcore.reading import reading_run, told
from expcore.types import Clock, InputFn, Metrics, is_hook
from expcore_sklearn import checkpoints
from expcore_sklearn.checkpoints import State
from expcore_sklearn.engine import Engine
from expcore_sklearn.inputs import Batch, batches
from expcore_sklearn.models import SUBJECT, Recipe, differing
from expcore_sklearn.scores import Score, check_metrics, score

_LOG = logging.getLogger(__name__)


class SklearnEstimator:
    """A scikit-learn classifier or regressor with ``partial_fit``, and a model directory.

    One step is one ``partial_fit`` on one batch. A checkpoint holds the model with its random state, the
    global step, the position in the input and the states of hooks, so that a run that was interrupted and
    started again equals one that was not, bit for bit, where the input gives the same batches again. A random
    state that is not given (None) becomes one of the model's own, from ``config.random_seed``.

    Checkpoints are joblib files, and reading one executes code that it names. Evaluate, export and go on from
    your own checkpoints only; a SHA-256 beside each finds damage, not malice.

    ``loss`` is the mean squared error of a regressor, the log loss of a classifier, or the share of wrong
    predictions of one that gives no probabilities. Classifiers have ``accuracy``, regressors ``r2``. Training
    metrics are those of the last batch. Evaluations compute each over all examples at once.

    Of the config ``model_dir``, ``random_seed``, ``save_checkpoints_steps``, ``save_checkpoints_secs`` and
    ``keep_checkpoint_max`` count.

    Args:
        model: an estimator of scikit-learn, of which an unfitted copy is made, or a function of no arguments
            that returns an unfitted one; called once here, and once for each beginning of training.
        model_dir: the model directory; None: ``config.model_dir``, or else a temporary one, told in the log.
        config: a RunConfig or another object with some of its attributes; None: ``RunConfig()``.
        classes: all labels of a classifier, at least two; None for a regressor.
        metrics: more metrics: a list of names of functions in ``sklearn.metrics`` that take labels and
            predictions, or a mapping of names to such functions; None: none.
        batch_size: examples in a batch where the input function returns arrays.
        clock: gives time to the training loop and hooks; None: the real one.

    Attributes:
        model_dir: the model directory.
        config: the config given, with the model directory filled in.
        capabilities: what it declares to expcore's conformance suite.

    Raises:
        InvalidType: the model has no ``partial_fit``, is neither classifier nor regressor, or ``metrics`` are
            something else.
        InvalidArgument: ``classes`` do not fit the model, a metric is not known, ``batch_size`` is not a
            whole number > 0, or ``model_dir`` and ``config.model_dir`` differ.
    """

    capabilities = frozenset({"reproducible", "exact_resume", "checkpoint_rhythm"})

    def __init__(
        self,
        model: Any,
        model_dir: str | os.PathLike[str] | None = None,
        config: Any = None,
        *,
        classes: Sequence[Any] | None = None,
        metrics: Sequence[str] | Mapping[str, str | Score] | None = None,
        batch_size: int = 32,
        clock: Clock | None = None,
    ) -> None:
        self._given = {
            "classes": classes,
            "metrics": metrics,
            "batch_size": _positive("batch_size", batch_size),
            "clock": clock,
        }
        self._model, self._recipe = model, Recipe(model, classes)
        self._scores = check_metrics(metrics)
        self._batch_size = batch_size
        self._clock: Clock = clock or RealClock()
        self.model_dir = _model_dir(model_dir, config)
        self.config = _config(config, self.model_dir)
        self._engine: Engine | None = None

    def supports_hook(self, hook: Any) -> bool:
        """Whether it is a hook of expcore that needs no other library's model."""
        return is_hook(hook) and getattr(hook, "requires", None) is None

    def _check_hooks(self, hooks: Sequence[Any]) -> None:
        check_hooks(hooks)
        for hook in hooks:
            if not self.supports_hook(hook):
                raise InvalidHook(
                    f"hook {describe(hook)}: it needs {hook.requires}, which {SUBJECT} has not; leave it out"
                )

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> SklearnEstimator:
        """Trains, going on from the newest checkpoint.

        Args:
            input_fn: returns features and labels as two arrays in a tuple, or an iterable of such batches.
            hooks: hooks of expcore.
            steps: steps to make, > 0; None: not limited so.
            max_steps: global step to end at, > 0; at or beyond it nothing is done. None: not limited so.
            saving_listeners: told of each checkpoint.

        Returns:
            This estimator.

        Raises:
            InvalidArgument: both limits are given, or one is not a whole number > 0.
            InvalidHook: something in ``hooks`` is no hook, or needs another estimator.
            InvalidInput: the input cannot be used, or does not fit the model.
            CheckpointCorrupt: every checkpoint is damaged; of several the newest whole one is gone on from,
                and the damaged ones are set aside.
            ModelMismatch: the checkpoint is of another model.
            CannotWrite: a checkpoint cannot be written.
        """
        if steps is not None and max_steps is not None:
            raise InvalidArgument(f"steps={steps} and max_steps={max_steps}: give only one of them")
        _positive("steps", steps)
        _positive("max_steps", max_steps)
        self._check_hooks(hooks or ())
        engine = self._engine or self._restored_engine()
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

    def _restored_engine(self) -> Engine:
        found = self.checkpoints()
        if found:
            model, state = self._newest_readable(found)
            changed = differing(model, self._recipe)
            if changed:
                _LOG.warning(
                    "%s: the parameters %s are others than in the checkpoint of step %d; training goes on "
                    "with the checkpoint's: to have the new ones, train in another model_dir",
                    SUBJECT,
                    changed,
                    state.step,
                )
        else:
            model, state = self._recipe.make(config_value(self.config, "random_seed")), None
        keep = config_value(self.config, "keep_checkpoint_max")
        return Engine(model, self._recipe, self.model_dir, self._batch_size, self._of_batch, keep, state)

    def _newest_readable(self, found: Sequence[str]) -> tuple[Any, State]:
        """Reads the newest checkpoint that can be read, and sets those after it aside."""
        damaged: list[str] = []
        for path in reversed(found):
            try:
                model, state = self._read(path)
            except CheckpointCorrupt as error:
                if path == found[0]:
                    raise
                _LOG.warning("%s; the one before is tried", error)
                damaged.append(path)
                continue
            break
        for path in damaged:
            checkpoints.set_aside(path)
        return model, state

    def _of_batch(self, model: Any, batch: Batch) -> Metrics:
        return score(model, self._recipe.kind, [batch], {})

    def checkpoints(self) -> list[str]:
        """Returns the paths of the checkpoints, oldest first."""
        return checkpoints.paths(self.model_dir)

    def latest_checkpoint(self) -> str | None:
        """Returns the newest checkpoint's path; None without one."""
        found = self.checkpoints()
        return found[-1] if found else None

    def _read(self, checkpoint_path: str | None) -> tuple[Any, State]:
        path = checkpoint_path or self.latest_checkpoint()
        if path is None:
            raise NotTrained(f"there is no checkpoint in {self.model_dir!r}; call train() first")
        model, state = checkpoints.read(os.fspath(path))
        if type(model) is not self._recipe.type:
            raise ModelMismatch(
                f"checkpoint {path}: it holds a {describe(type(model))}, but the model is a "
                f"{describe(self._recipe.type)}; use another model_dir"
            )
        classes = getattr(model, "classes_", None)
        if classes is not None and not np.array_equal(classes, self._recipe.classes):
            raise ModelMismatch(
                f"checkpoint {path}: its classes are {classes.tolist()}, but "
                f"{self._recipe.classes.tolist()} are given; use another model_dir"
            )
        return model, state

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        """Returns the metrics of a checkpoint over all examples, and its ``global_step``.

        Args:
            input_fn: as for ``train``.
            steps: batches at most, > 0; None: until the input ends.
            hooks: given ``begin`` before and ``after_steps`` and ``end`` after the last batch, or ``failed``.
            checkpoint_path: the checkpoint; None: the latest.
            name: not used, as no summaries are written.

        Raises:
            InvalidArgument: ``steps`` is not a whole number > 0.
            InvalidHook: as for ``train``.
            NotTrained: there is no checkpoint yet.
            CheckpointCorrupt, ModelMismatch: as for ``train``.
            InvalidInput: the input is empty, cannot be used, or does not fit the model.
        """
        _positive("steps", steps)
        self._check_hooks(hooks or ())
        model, state = self._read(checkpoint_path)
        run = reading_run(state.step, model, self.model_dir, self._clock)
        with told(run, list(hooks or ())):
            read = islice(batches(input_fn, self._batch_size), steps)
            metrics = score(model, self._recipe.kind, read, self._scores)
            run.made(Advance(1, False, lambda: metrics))
        return {**metrics, "global_step": state.step}

    def predict(self, input_fn: InputFn, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Yields one prediction an example.

        Args:
            input_fn: as for ``train``, or features alone.
            checkpoint_path: the checkpoint; None: the latest.

        Raises:
            NotTrained, CheckpointCorrupt, ModelMismatch, InvalidInput: as for ``evaluate``.
        """
        model, _ = self._read(checkpoint_path)
        for x, _ in batches(input_fn, self._batch_size, labels=False):
            try:
                predictions = model.predict(x)
            except ValueError as error:
                raise InvalidInput(f"{SUBJECT}: a batch does not fit the model: {one_line(error)}") from error
            yield from predictions

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the fitted scikit-learn model of a checkpoint; the training's own is not touched.

        Raises:
            NotTrained, CheckpointCorrupt, ModelMismatch: as for ``evaluate``.
        """
        yield self._read(checkpoint_path)[0]

    def with_model_dir(self, path: str | os.PathLike[str]) -> SklearnEstimator:
        """Returns an estimator in another directory that shares nothing with this one and begins anew."""
        return SklearnEstimator(self._model, path, _config(self.config, os.fspath(path)), **self._given)


def _positive(name: str, value: Any) -> Any:
    if value is None and name != "batch_size":
        return value
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0:
        return value
    raise InvalidArgument(f"{SUBJECT}: {name} is {value!r}; it must be a whole number > 0")


def _model_dir(given: Any, config: Any) -> str:
    configured = config_value(config, "model_dir")
    found: list[str] = [os.fspath(path) for path in (given, configured) if path]
    if len(found) == 2 and os.path.abspath(found[0]) != os.path.abspath(found[1]):
        raise InvalidArgument(
            f"{SUBJECT}: model_dir is {found[0]!r} and config.model_dir is {found[1]!r}; give one of them"
        )
    if found:
        return found[0]
    path = tempfile.mkdtemp(prefix="expcore-")
    _LOG.warning("no model_dir was given: using the temporary directory %s", path)
    return path


def _config(config: Any, model_dir: str) -> Any:
    """The config with this model directory: itself where it has it, else a copy."""
    if config is None:
        return RunConfig(model_dir=model_dir)
    if config_value(config, "model_dir") == model_dir:
        return config
    if callable(getattr(config, "replace", None)):
        return config.replace(model_dir=model_dir)
    changed = copy.copy(config)
    changed.model_dir = model_dir
    return changed
