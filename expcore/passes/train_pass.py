"""The train pass: trains, records every save, keeps the heartbeat and says how training ended."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from expcore import events as ev
from expcore.calling import accepts, describe
from expcore.cluster import config_value
from expcore.errors import CannotWrite, PeerLost, StoppedBySignal, one_line
from expcore.events import LOG_DIR, plain
from expcore.history import History
from expcore.loop import SIGNAL, SIGNAL_ELSEWHERE
from expcore.parts import Parts
from expcore.passes.fitting import fitting_hooks
from expcore.passes.heartbeat import BEAT_SECS, Heartbeat
from expcore.passes.journal import Journal
from expcore.passes.lock import trainer_lock
from expcore.types import Checkpoint, Run, TrainingEnd

_LOG = logging.getLogger(__name__)

OnSave = Callable[[Checkpoint], bool | None]


class Training:
    """The training of one schedule, over one or several passes.

    Args:
        experiment: what is trained.
        journal: where it is recorded.
        resources: keeps the lock until the schedule ends.
    """

    def __init__(self, experiment: Parts, journal: Journal, resources: ExitStack) -> None:
        self._experiment, self._journal, self._resources = experiment, journal, resources
        self._chief = bool(config_value(experiment.config, "is_chief"))
        self._run_id = ""
        self._heartbeat: Heartbeat | None = None
        self._last: TrainingEnd | None = None
        self._made = 0
        self._generation = 0
        self._from: int | None = None  # the step that the pass goes on from

    def run(
        self, steps: int | None, hooks: Sequence[Any], on_save: OnSave | None, save_every: int | None
    ) -> TrainingEnd:
        """Makes one pass."""
        before = self._journal.latest()
        start = before.step if before else 0
        self._start(start)
        until = self._experiment.train_steps if steps is None else None
        if until is not None and start is not None and start >= until:
            _LOG.info("training is complete: step %d of %d is reached, no step is made", start, until)
            getattr(self._experiment.estimator, "trains_no_more", lambda: None)()
            self._last = TrainingEnd(self._run_id, start, "max_steps", before.id if before else None)
            return self._last
        watch = _Watch(self._experiment, self._journal, self._heartbeat, self._began)
        goal = until if steps is None or start is None else start + steps
        recorder = _Recorder(self, watch, before, goal, on_save)
        rhythm = [_SaveEvery(save_every)] if save_every else []
        experiment = self._experiment
        added = experiment.plugins.ask("expcore_train_hooks", experiment=experiment)
        fitting = fitting_hooks(
            experiment,
            [*experiment.train_hooks, *hooks],
            [watch, *rhythm, *(hook for _, answer in added for hook in answer or ())],
        )
        experiment.plugins.ask("expcore_before_train", experiment=experiment)
        self._from = start
        self._train(steps, until, fitting, recorder, save_every)
        self._last = self._end(self._from, steps, recorder)
        self._made += self._last.steps
        if self._last.reason == SIGNAL_ELSEWHERE:
            raise PeerLost(
                "another process of the cluster was asked to stop by a signal, so that training stopped "
                f"at step {self._last.step}; restart all of them: it goes on from there"
            )
        return self._last

    def _start(self, step: int | None) -> None:
        if self._run_id:
            return
        if self._chief:
            self._resources.enter_context(trainer_lock(self._experiment.model_dir))
        self._generation = self._journal.history.next_generation
        self._run_id = f"{self._journal.log.name}#{self._generation}"
        if self._chief:
            self._record_start(step)
            self._heartbeat = Heartbeat(self._experiment.model_dir, self._journal.log.name, self._run_id)
            self._heartbeat.beat(step, "training")
            _write_run_record(self._experiment, self._run_id)

    def _record_start(self, step: int | None) -> None:
        self._journal.log.append(
            ev.TRAINING_STARTED, run=self._run_id, generation=self._generation, step=step
        )

    def _began(self, step: int) -> None:
        """Notes where training really goes on from: an older step where a checkpoint was unreadable."""
        if self._from is not None and step < self._from:
            self._from = step
            if self._chief:
                self._record_start(step)

    def _train(
        self, steps: int | None, until: int | None, hooks: list[Any], recorder: _Recorder, every: int | None
    ) -> None:
        estimator = self._experiment.estimator
        if accepts(estimator.train, "saving_listeners"):
            listeners = [recorder, *self._experiment.saving_listeners]
            estimator.train(
                self._experiment.train_input_fn,
                hooks=hooks,
                steps=steps,
                max_steps=until,
                saving_listeners=listeners,
            )
            recorder.compare(ending=True)
            return
        # Without listeners the only way to evaluate in between is to stop training there.
        step, goal = recorder.step, recorder.goal
        every = self._alternation(recorder, every)
        if every is None:
            estimator.train(self._experiment.train_input_fn, hooks=hooks, steps=steps, max_steps=until)
            recorder.compare(ending=True)
            return
        while step is not None and goal is not None and step < goal and not recorder.stop:
            part = min(step + every, goal)
            estimator.train(self._experiment.train_input_fn, hooks=hooks, steps=None, max_steps=part)
            # Short of its part it has ended by itself, and another call would begin the input anew.
            step = part if self.step_of_latest() in (part, None) else None
            recorder.compare(ending=step is None or step == goal)

    def _alternation(self, recorder: _Recorder, every: int | None) -> int | None:
        """Steps of one call where training has to stop to be evaluated; None: it goes on to the end."""
        experiment = self._experiment
        n = experiment.eval_every_n_steps
        if every is None and n:
            every = n if n > 1 else config_value(experiment.config, "save_checkpoints_steps")
        if not recorder.interleaves or every is None:
            return None
        if recorder.goal is None or recorder.step is None:
            _LOG.warning(
                "%s takes no saving_listeners and it is not known where it will end: it is evaluated only "
                "then, since input that begins anew in each call never ends; give train_steps",
                describe(type(experiment.estimator)),
            )
            return None
        return every

    def record(self, path: str, step: int | None) -> Checkpoint:
        """Records a save of the chief and tells the plugins."""
        checkpoint = self._journal.saved(self._run_id, path, step)
        if self._heartbeat:
            self._heartbeat.beat(step, "training")
        self._experiment.plugins.ask(
            "expcore_checkpoint_saved", experiment=self._experiment, checkpoint=checkpoint
        )
        return checkpoint

    @property
    def records(self) -> bool:
        """Only the chief's saves are the experiment's."""
        return self._chief

    def latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint."""
        return self._journal.latest()

    def step_of_latest(self) -> int | None:
        """Returns its step; None without one, or where it is not known."""
        latest = self.latest()
        return latest.step if latest else None

    def _end(self, start: int | None, steps: int | None, recorder: _Recorder) -> TrainingEnd:
        latest, run = self._journal.latest(), recorder.run
        step = run.step if run else latest.step if latest else None
        until = self._experiment.train_steps
        reached = until is not None and step is not None and step >= until
        made = step - (start or 0) if step is not None else 0
        reason = run.stop_reason if run else None
        if reason is None:  # an estimator without our hooks does not say
            whole = steps is not None and (step is None or made >= steps)
            reason = "max_steps" if reached or whole or recorder.stop else "input ended"
        if reason == "max_steps" and not reached:
            reason = "asked by the schedule" if recorder.stop else "steps"
        return TrainingEnd(self._run_id, step, reason, latest.id if latest else None, made)

    def finish(self, error: BaseException | None) -> TrainingEnd | None:
        """Records how the training of the schedule ended; a signal or an error is not the end of training.

        Returns:
            The end; None where no training began.
        """
        if not self._run_id:
            return None
        latest = self._journal.latest()
        id_, step = (latest.id, latest.step) if latest else (None, None)
        end = self._last or TrainingEnd(self._run_id, step, "nothing trained", id_)
        end = replace(end, steps=self._made)
        if isinstance(error, StoppedBySignal):
            end = replace(end, reason=SIGNAL, over=False)
        elif error is not None:
            end = replace(end, reason=one_line(error), over=False, step=step, checkpoint=id_)
        if self._chief:
            self._journal.log.append(ev.TRAINING_ENDED, **asdict(end))
        if self._heartbeat:
            self._heartbeat.beat(end.step, "ended")
        return end


class _Recorder:
    """The saving listener of every train pass."""

    def __init__(
        self,
        training: Training,
        watch: _Watch,
        before: Checkpoint | None,
        goal: int | None,
        on_save: OnSave | None,
    ) -> None:
        self._training, self._watch, self._on_save = training, watch, on_save
        self._last = before
        self.goal = goal
        self.stop = False

    @property
    def interleaves(self) -> bool:
        """Whether somebody wants to act between saves."""
        return self._on_save is not None

    @property
    def step(self) -> int | None:
        """The step of the newest checkpoint."""
        return self._last.step if self._last else 0

    @property
    def run(self) -> Run | None:
        """The run as the estimator showed it; None where it takes no hooks of ours."""
        return self._watch.run

    def begin(self) -> None:
        """Nothing to do before the first step."""

    def before_save(self, session: Any, global_step: int) -> None:
        """Nothing to do before a save."""

    def after_save(self, session: Any, global_step: int) -> bool | None:
        """Records the save; True ends training."""
        step = int(global_step)
        return self._saved(self._training.latest(), step, self.run.ending if self.run else self.goal == step)

    def end(self, session: Any, global_step: int) -> None:
        """Nothing to do at the end."""

    def compare(self, ending: bool) -> None:
        """Records a save that no listener was told of."""
        latest = self._training.latest()
        if latest is not None and (self._last is None or latest.id != self._last.id):
            self._saved(latest, self.run.step if latest.step is None and self.run else latest.step, ending)

    def _saved(self, found: Checkpoint | None, step: int | None, ending: bool) -> bool | None:
        if found is None or not self._training.records:
            return None
        self._last = self._training.record(found.path, step)
        if self._on_save is not None and not ending and not self._watch.signalled:
            self.stop |= bool(self._on_save(self._last))
        # Asked again: a signal may have come during an evaluation that took long.
        self.stop = self._watch.stops(self.stop)
        return self.stop or None


class _Watch:
    """The hook of every train pass: gives hooks the history, serves signals and keeps the heartbeat."""

    every_secs = 1.0

    def __init__(
        self,
        experiment: Parts,
        journal: Journal,
        heartbeat: Heartbeat | None,
        began: Callable[[int], None],
    ) -> None:
        self._experiment, self._journal, self._heartbeat = experiment, journal, heartbeat
        self._began = began
        self._beaten = 0.0
        self.run: Run | None = None

    @property
    def signalled(self) -> bool:
        """Whether a signal asked for the end."""
        return self._experiment.signalled is not None

    def stops(self, asked: bool) -> bool:
        """Asks for the end of training, where the schedule or a signal did, and says so."""
        if self.run is not None and (self.signalled or asked):
            self.run.request_stop(SIGNAL if self.signalled else "asked by the schedule")
        return self.signalled or asked

    def begin(self, run: Any) -> None:
        """Lets hooks read the log; one that waits looks at it again and again, and is to see a signal."""
        self.run = run
        self._began(run.step)

        def history() -> History:
            self.stops(False)
            return self._journal.history

        run.history_source = history
        self.stops(False)

    def after_steps(self, run: Run) -> None:
        """About once a second."""
        self.stops(False)
        now = run.clock.monotonic()
        if self._heartbeat and now - self._beaten >= BEAT_SECS:
            self._beaten = now
            self._heartbeat.beat(run.step, "training")


class _SaveEvery:
    """Asks for a checkpoint every ``n`` steps, counted from the last one."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._base = 0
        self._asked = False

    def begin(self, run: Run) -> None:
        """Counts from the step that training starts at."""
        self._base = run.step

    def next_step(self, step: int) -> int:
        """The next save."""
        return self._base + self._n

    def after_steps(self, run: Run) -> None:
        """Asks for the save where it is due."""
        if run.step >= self._base + self._n:
            run.request_save()
            self._base, self._asked = run.step, True

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        """Counts from this save on; one that was asked for may be told of when steps were made since."""
        if not self._asked:
            self._base = run.step
        self._asked = False


def _write_run_record(experiment: Parts, run: str) -> None:
    """Writes run.json: what this training was made of."""
    packages = {}
    for name in ("expcore", "tensorflow", "keras", "numpy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue  # not needed by this estimator
    record = {
        "run": run,
        "time": experiment.clock.time(),
        "python": platform.python_version(),
        "packages": packages,
        "seed": config_value(experiment.config, "random_seed"),
        "experiment": experiment.describe(),
        "plugins": experiment.plugins.snapshot(),
    }
    path = Path(experiment.model_dir) / LOG_DIR / "run.json"
    beside = path.with_suffix(".tmp")
    try:
        beside.write_text(json.dumps(plain(record), indent=2, default=str) + "\n")
        os.replace(beside, path)
    except OSError as error:
        raise CannotWrite(f"{path}: the record of the run cannot be written ({error}); mend it") from error
