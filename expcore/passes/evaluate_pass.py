"""The evaluate pass: evaluates one checkpoint on every set, records the result, once where asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expcore import events as ev
from expcore.errors import CheckpointCorrupt, InvalidType, one_line
from expcore.events import plain
from expcore.history import fingerprint
from expcore.metrics import in_words
from expcore.parts import Parts
from expcore.passes.claims import Claims
from expcore.passes.fitting import fitting_hooks
from expcore.passes.journal import Journal
from expcore.pins import pinned
from expcore.types import Checkpoint, Evaluation

_LOG = logging.getLogger(__name__)

TRAIN_DATA_NAME = "on_train_data"

_NEVER = {"vanished", "corrupt", "superseded"}


@dataclass(frozen=True)
class Request:
    """What to evaluate: the name of the evaluation, "eval" or "train" data, steps (None: all)."""

    name: str | None
    source: str
    steps: int | None

    @property
    def subject(self) -> str | None:
        """What it is called in the record of what was not done: the end of its directory's name."""
        return self.name or (TRAIN_DATA_NAME if self.source == "train" else None)


class EvaluatePass:
    """Evaluates for an experiment.

    Args:
        experiment: whose estimator and inputs are used.
        journal: where results are recorded.
    """

    def __init__(self, experiment: Parts, journal: Journal) -> None:
        self._experiment, self._journal = experiment, journal
        self._claims = Claims(experiment.model_dir, experiment.clock)

    def run(self, checkpoint_path: str | None, request: Request, once: bool) -> dict[str, Any] | None:
        """Evaluates; with ``once`` returns None for what is evaluated, claimed, gone or corrupt."""
        checkpoint = self._journal.identify(checkpoint_path or self._experiment.estimator.latest_checkpoint())
        if checkpoint is None or not once:
            return self._evaluate(checkpoint, request)
        claim = self._claim(checkpoint, request)
        if not self._claims.take(claim, self._expiry()):
            self._skip(checkpoint, request, "claimed", "another evaluator is at it")
            return None
        try:
            if self._evaluated(checkpoint, request):
                return None
            result = self._evaluate_if_readable(checkpoint, request)
            if result:
                self._pass_over(checkpoint, request)
            return result
        finally:
            self._claims.release(claim)

    def _evaluated(self, checkpoint: Checkpoint, request: Request) -> bool:
        return self._journal.history.evaluated(checkpoint, request.source, request.name) is not None

    def _claim(self, checkpoint: Checkpoint, request: Request) -> str:
        return f"{checkpoint.id} {request.source} {request.name or ''}"

    def _pass_over(self, checkpoint: Checkpoint, request: Request) -> None:
        """Says of the checkpoints before this one which nobody evaluated that nobody will."""
        history = self._journal.history
        told = {
            skip.checkpoint
            for skip in history.skips
            if (skip.what, skip.subject) == ("evaluation", request.subject) and skip.reason in _NEVER
        }
        for earlier in history.saves:
            if earlier.id == checkpoint.id:
                return
            if earlier.id in told or self._evaluated(earlier, request):
                continue
            claim = self._claim(earlier, request)
            if self._claims.take(claim, self._expiry()):  # else another evaluator is at it
                self._claims.release(claim)
                self._skip(earlier, request, "superseded", f"step {checkpoint.step} was the newest")

    def _expiry(self) -> float:
        return 10 * self._journal.history.longest_evaluation

    def _skip(self, checkpoint: Checkpoint, request: Request, reason: str, detail: str) -> None:
        self._journal.skip("evaluation", request.subject, checkpoint, reason, detail)

    def _evaluate_if_readable(self, checkpoint: Checkpoint, request: Request) -> dict[str, Any] | None:
        there = any(fingerprint(checkpoint.path)) or self._journal.history.had_files(checkpoint.path)
        try:
            return self._evaluate(checkpoint, request)
        except Exception as error:
            vanished = there and not any(fingerprint(checkpoint.path))
            if not vanished and not isinstance(error, CheckpointCorrupt):
                raise
            reason = "vanished" if vanished else "corrupt"
            _LOG.warning("checkpoint %s is not evaluated: %s (%s)", checkpoint.path, reason, one_line(error))
            for lost in self._lost(checkpoint, request):
                self._skip(lost, request, reason, one_line(error))
            return None

    def _lost(self, checkpoint: Checkpoint, request: Request) -> list[Checkpoint]:
        """The checkpoint, and the save at its place: files that were damaged do not tell whose they were."""
        place = Path(checkpoint.path)
        saves = [s for s in self._journal.history.saves if Path(s.path) == place and s.id != checkpoint.id]
        return [checkpoint, *(s for s in saves[-1:] if not self._evaluated(s, request))]

    def _evaluate(self, checkpoint: Checkpoint | None, request: Request) -> dict[str, Any]:
        """Evaluates and records; plugins that are told of it can read the checkpoint as well."""
        with pinned(self._experiment.model_dir, checkpoint.path if checkpoint else None):
            return self._evaluate_pinned(checkpoint, request)

    def _evaluate_pinned(self, checkpoint: Checkpoint | None, request: Request) -> dict[str, Any]:
        experiment = self._experiment
        experiment.plugins.ask("expcore_before_evaluate", experiment=experiment, checkpoint=checkpoint)
        start = experiment.clock.monotonic()
        metrics = self._metrics(checkpoint, request)
        secs = experiment.clock.monotonic() - start
        if not metrics:
            _LOG.warning("the evaluation gave no metrics; nothing is recorded")
            return {}
        known = checkpoint.step if checkpoint else None
        step = int(metrics.setdefault("global_step", known or 0))
        _LOG.info("evaluation at step %d: %s", step, in_words(metrics))
        id_ = checkpoint.id if checkpoint else None
        self._journal.log.append(
            ev.EVALUATED,
            checkpoint=id_,
            step=step,
            metrics=metrics,
            name=request.name,
            source=request.source,
            secs=secs,
        )
        evaluation = Evaluation(id_, step, metrics, request.name, request.source)
        self._journal.defer_observers(
            experiment.plugins.notify("expcore_after_evaluate", experiment=experiment, evaluation=evaluation)
        )
        return metrics

    def _metrics(self, checkpoint: Checkpoint | None, request: Request) -> dict[str, Any]:
        experiment = self._experiment
        added = experiment.plugins.ask("expcore_eval_hooks", experiment=experiment)
        hooks = fitting_hooks(
            experiment, experiment.eval_hooks, [hook for _, answer in added for hook in answer or ()]
        )
        if request.source == "train":
            sets: Mapping[str, Any] = {"": experiment.train_input_fn}
        else:
            sets = experiment.eval_sets
        metrics: dict[str, Any] = {}
        with _held(experiment.estimator, checkpoint, len(sets)):
            for i, (set_name, input_fn) in enumerate(sets.items()):
                result = experiment.estimator.evaluate(
                    input_fn,
                    steps=request.steps,
                    hooks=hooks,
                    checkpoint_path=checkpoint.path if checkpoint else None,
                    name=set_name if i else request.subject,
                )
                metrics |= _named(_checked(result), set_name, main=i == 0)
        return metrics


def _checked(result: Any) -> dict[str, Any]:
    if result and not isinstance(result, Mapping):
        raise InvalidType(
            f"evaluate(): the estimator returned {type(result).__name__}; it must be a mapping of metrics "
            "with global_step"
        )
    return dict(plain(result or {}))


def _named(result: dict[str, Any], set_name: str, *, main: bool) -> dict[str, Any]:
    """A set's part of the result: the main set's own names, and of every named set <set>/<metric>."""
    own = result if main else {}
    return own | {f"{set_name}/{k}": v for k, v in result.items() if set_name and k != "global_step"}


@contextmanager
def _held(estimator: Any, checkpoint: Checkpoint | None, sets: int) -> Iterator[None]:
    """Several sets see one restored checkpoint, where the estimator can hold one."""
    restored = getattr(estimator, "restored", None)
    if sets < 2 or checkpoint is None or not callable(restored):
        yield
        return
    with restored(checkpoint.path):
        yield
