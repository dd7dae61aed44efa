"""Follows a training from outside: what both continuous evaluations have in common."""

from __future__ import annotations

import logging
from typing import Any

from expcore.calling import ask_predicate, check_predicate
from expcore.checks import check_secs
from expcore.errors import InvalidArgument, NoNews
from expcore.experiment import Experiment
from expcore.passes.heartbeat import TrainingWatch
from expcore.types import Checkpoint, Predicate, TrainingEnd

_LOG = logging.getLogger(__name__)

WARN_EVERY_SECS = 600.0
POLL_SECS = 5.0
IDLE_SECS = 1.0


class Follower:
    """Evaluates checkpoints as they come; ``continuous_eval`` has the meaning of the arguments."""

    def __init__(
        self,
        experiment: Experiment,
        *,
        throttle_secs: float | None = None,
        only_once: bool = True,
        predicate: Predicate | None = None,
        name: str | None = None,
        backlog: str = "newest",
        timeout_secs: float | None = None,
        on_train_data: bool = False,
    ) -> None:
        check_predicate("continuous_eval_predicate_fn", predicate)
        experiment.check_eval_name(name, on_train_data)
        if backlog not in ("newest", "all"):
            raise InvalidArgument(f"backlog is {backlog!r}; it must be 'newest' or 'all'")
        if backlog == "all" and not only_once:
            raise InvalidArgument(
                "backlog='all' with evaluate_checkpoint_only_once=False would never come to the second "
                "checkpoint; leave one of them out"
            )
        throttle = experiment.continuous_eval_throttle_secs if throttle_secs is None else throttle_secs
        check_secs("throttle_delay_secs", throttle)
        check_secs("timeout_secs", 0 if timeout_secs is None else timeout_secs)
        self._experiment = experiment
        self._throttle = throttle
        self._only_once, self._backlog = only_once, backlog
        self._predicate, self._name, self._on_train_data = predicate, name or None, on_train_data
        self._timeout = timeout_secs
        self._given_up: set[str] = set()
        self._seen: set[str] = set()
        self._last: Checkpoint | None = None
        self._last_result: Any = None
        self._final_export_done = False

    def run(self, delay_secs: float | None) -> Any:
        """Waits, then evaluates round by round until there is an end."""
        experiment, clock = self._experiment, self._experiment.clock
        delay = experiment.eval_delay_secs if delay_secs is None else delay_secs
        check_secs("delay_secs", delay)
        # Watched from here on: a training that ends during the delay was seen alive as well.
        self._watch = TrainingWatch(experiment.model_dir, experiment.history)
        experiment.wait(delay, "before the first evaluation")
        if not self._on_train_data:
            experiment.export_missed()
        self._news_at, self._warned_at = clock.monotonic(), 0.0
        result: Any = None
        ended = False
        while self._goes_on(result) and not self._complete(result) and not ended:
            began = clock.monotonic()
            # Asked before the checkpoints are listed: what is listed after the end is all there will be.
            over = self._over()
            result = self._round(last=over is not None)
            ended = self._ended(result, over)
            if not ended:
                self._throttled(began + self._throttle, over, idle=not result)
        self._export_finally()
        return self._last_result

    def _over(self) -> TrainingEnd | None:
        return self._watch.over(self._experiment.history, self._experiment.train_steps)

    def _round(self, last: bool) -> Any:
        """Evaluates the first open checkpoint that can be had; an empty result where there is none."""
        claimed: Checkpoint | None = None
        for checkpoint in self._open_ones():
            result = self._evaluate(checkpoint, last)
            if result:
                return result
            claimed = None if checkpoint.id in self._given_up else checkpoint
        self._idle(claimed)
        return {}

    def _ended(self, result: Any, over: TrainingEnd | None) -> bool:
        """Whether there will be nothing more to evaluate."""
        if over is not None and not (self._only_once and self._open_ones()):
            _LOG.info("training ended (%s) and its last checkpoint is evaluated", over.reason)
            return True
        # Where another process evaluated the last one, no result of this round tells.
        return not result and self._only_once and not self._open_ones() and self._complete(self._last_result)

    def _goes_on(self, result: Any) -> bool:
        path = self._last.path if self._last else None
        history = self._experiment.history
        seen = history.on_train_data() if self._on_train_data else history
        return ask_predicate(self._predicate, result, path, seen)

    def _complete(self, result: Any) -> bool:
        """Whether the step that was evaluated is the last one."""
        steps = self._experiment.train_steps
        step = result.get("global_step") if result else None
        if steps and step and step >= steps:
            _LOG.info("evaluated global step %d reaches train_steps %d", step, steps)
            return True
        return False

    def _open_ones(self) -> list[Checkpoint]:
        """The checkpoints to evaluate now, oldest first."""
        experiment = self._experiment
        newest = experiment.latest_checkpoint()
        if newest is not None and newest.id not in self._seen:
            self._seen.add(newest.id)
            self._news_at = experiment.clock.monotonic()
        candidates = [newest] if newest is not None else []
        if not self._only_once:
            return candidates
        if self._backlog == "all":
            candidates = experiment.checkpoints()
        return [c for c in candidates if self._open(c)]

    def _open(self, checkpoint: Checkpoint) -> bool:
        """Whether nobody has evaluated a checkpoint yet; takes over the result of another."""
        if checkpoint.id in self._given_up:
            return False
        source = "train" if self._on_train_data else "eval"
        done = self._experiment.history.evaluated(checkpoint, source, self._name)
        if done is not None:
            self._last, self._last_result = checkpoint, dict(done.metrics)
        return done is None

    def _evaluate(self, checkpoint: Checkpoint, last: bool) -> Any:
        experiment = self._experiment
        result = experiment.evaluate_pass(
            checkpoint.path, name=self._name, on_train_data=self._on_train_data, once=self._only_once
        )
        if not result:
            reasons = {
                skip.reason
                for skip in experiment.history.skips
                if (skip.what, skip.checkpoint) == ("evaluation", checkpoint.id)
            }
            # One that gave no metrics gives none the next time either.
            if self._only_once and (result is not None or reasons & {"vanished", "corrupt"}):
                self._given_up.add(checkpoint.id)
            return {}
        self._last, self._last_result = checkpoint, result
        if not self._on_train_data:
            steps = experiment.train_steps
            newest = experiment.latest_checkpoint()
            at_end = last and newest is not None and newest.id == checkpoint.id
            final = at_end or bool(steps and result["global_step"] >= steps)
            experiment.export_pass(result, checkpoint.path, final=final)
            self._final_export_done = final
        return result

    def _export_finally(self) -> None:
        """Tells exporters that what they saw last was the last."""
        if self._on_train_data or self._final_export_done or self._last is None:
            return
        if any(c.id == self._last.id for c in self._experiment.checkpoints()):
            self._experiment.export_pass(self._last_result, self._last.path, final=True)

    def _idle(self, checkpoint: Checkpoint | None) -> None:
        now = self._experiment.clock.monotonic()
        if self._timeout is not None and now - self._news_at >= self._timeout:
            self._export_finally()
            raise NoNews(
                f"no new checkpoint in {self._experiment.model_dir!r} for {self._timeout:g} seconds "
                "(timeout_secs); is the training still alive?",
                self._last_result,
            )
        if now - self._warned_at >= WARN_EVERY_SECS or not self._warned_at:
            self._warned_at = now or IDLE_SECS
            if checkpoint is not None:
                _LOG.info("checkpoint %s is being evaluated by another process", checkpoint.path)
            elif self._last is None:
                _LOG.info("there is no checkpoint yet; the evaluation starts when there is one")
            else:
                _LOG.info("no new checkpoint since %s", self._last.path)

    def _throttled(self, until: float, over: TrainingEnd | None, idle: bool) -> None:
        """Waits, but not when training has ended: the last checkpoint is evaluated whatever the throttle."""
        experiment, clock = self._experiment, self._experiment.clock
        if idle:
            until = max(until, clock.monotonic() + IDLE_SECS)
            if self._timeout is not None:
                until = min(until, self._news_at + self._timeout)
        while (left := until - clock.monotonic()) > 0:
            # After the end only another process's evaluation is waited for, in the usual rhythm.
            if not (idle and over is not None) and self._over() is not None:
                return
            experiment.wait(min(left, POLL_SECS))
