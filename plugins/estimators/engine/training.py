"""The engine of training: the compiled loop over the kept input, checkpoints, and going on from one."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from expcore.errors import CheckpointCorrupt, ModelMismatch, listing
from expcore.loop import Advance, PendingSave
from expcore.types import Clock
from expcore_plugins.estimators.engine.batches import static_rows
from expcore_plugins.estimators.engine.checkpoints import CheckpointWriter, Pending
from expcore_plugins.estimators.engine.directory import (
    check_not_lost,
    checkpoints,
    path_of,
    prepare,
    wait_for,
)
from expcore_plugins.estimators.engine.failures import ExplainedBatches
from expcore_plugins.estimators.engine.position import Position
from expcore_plugins.estimators.engine.replicas import Alone
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.engine.snapshot import Snapshot
from expcore_plugins.estimators.engine.state import LiveState
from expcore_plugins.estimators.engine.steps import StepBuilder
from expcore_plugins.estimators.engine.trainable import EXTRA, METRICS, MODEL, OPTIMIZER
from expcore_plugins.estimators.engine.workers import Workers

_LOG = logging.getLogger(__name__)


class TrainingEngine:
    """What ``expcore.loop.TrainingLoop`` drives; one for the life of an estimator.

    Args:
        state: the live variables.
        steps: builds the compiled loop.
        model_dir: the model directory.
        writer: writes checkpoints.
        replicas: the processes that train together, this one among them.
        position: where training stands in its input.
        clock: measures how long a checkpoint is waited for.
        beside: whether checkpoints are written beside the next steps.
        first: called once before the first step of a model that has no checkpoint yet.

    Attributes:
        keep: returns the paths of checkpoints that must stay now; asked at each save.
    """

    def __init__(
        self,
        state: LiveState,
        steps: StepBuilder,
        model_dir: str,
        *,
        writer: CheckpointWriter,
        replicas: Alone | Workers,
        position: Position,
        clock: Clock,
        beside: bool,
        first: Callable[[], None],
    ) -> None:
        self.model_dir = model_dir
        self.step = 0
        self.restored = False
        self.keep: Callable[[], Collection[str]] = tuple
        self._state, self._steps, self._writer = state, steps, writer
        self._beside, self._first = beside, first
        self._replicas, self._clock = replicas, clock
        self._position = position
        self._loop: Any = None
        self._hook_states: Mapping[str, Any] = {}
        self._made = 0  # steps of this train() call

    @property
    def model(self) -> Any:
        """The model as its author knows it."""
        return self._state.trainable.native

    def begin(self, input_fn: Callable[[], Any]) -> None:
        """Makes ready for a train() call: input, compiled loop, directory, and the newest checkpoint.

        Nothing is written before the input was found to fit the model.

        Raises:
            InvalidType, InvalidInput: the input cannot be used.
            CannotWrite: the model directory cannot be written.
            CheckpointCorrupt: there are checkpoints, but none that can be read.
            ModelMismatch: the newest checkpoint is of another model.
        """
        self._position.open(input_fn)
        if isinstance(self._replicas, Workers):
            self._agree_on_reading(self._replicas)
        self._loop = self._steps.train(self._position.spec)
        if self._replicas.chief:
            prepare(self.model_dir)
        self._position.probe()
        self._made = 0
        if not self.restored:
            if self._replicas.chief:
                self._restore()
            if isinstance(self._replicas, Workers):
                self._begin_alike(self._replicas)
            self._loop = self._steps.train(self._position.spec)  # of the pass that was restored
            self.restored = True

    def _agree_on_reading(self, workers: Workers) -> None:
        position = self._position
        rows = static_rows(position.spec)
        if not workers.agree_on_reading(shared=position.shared, rows=rows, endless=position.endless):
            raise position.mixed()

    def _restore(self) -> None:
        paths = checkpoints(self.model_dir)
        failures: list[CheckpointCorrupt] = []
        for path in reversed(paths):
            try:
                self._take(SavedCheckpoint(path))
            except CheckpointCorrupt as error:
                _LOG.warning("%s; trying an older one", error)
                failures.append(error)
            else:
                return
        if failures:
            raise CheckpointCorrupt(
                f"none of the {len(paths)} checkpoints in {self.model_dir!r} can be read; bring one back, or "
                "remove them to begin anew"
            ) from failures[0]
        check_not_lost(self.model_dir)
        self.step = int(self._state.step.read_value())
        if self.step == 0:
            self._first()
            self._state.trainable.reset_metrics()

    def _begin_alike(self, workers: Workers) -> None:
        """Has every process begin where the chief does, with the chief's values."""
        import numpy as np

        state = self._state
        found = self.step if state.holds is not None else -1
        step = int(workers.from_chief([np.int64(found)])[0])
        if not self._replicas.chief and step >= 0:
            # Its values come from the chief: many processes would read many times as much.
            saved = SavedCheckpoint(wait_for(self.model_dir, step, self._clock))
            self._take_place(saved)
        variables = [n.variable for name in (MODEL, OPTIMIZER, EXTRA) for n in state.section(name)]
        shapes = [(str(v.shape), str(v.dtype)) for v in variables]
        if not workers.alike(zlib.crc32(repr(shapes).encode())):
            raise ModelMismatch(
                f"model {state.trainable.name!r} has other variables, or of other shapes, in another process "
                "of the cluster; give all of them the same code and the same settings"
            )
        values = workers.from_chief([v.read_value() for v in variables])
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if not self._replicas.chief:
            state.trainable.reset_metrics()  # the chief's are those of all

    def _take(self, saved: SavedCheckpoint) -> None:
        """Takes over a checkpoint; everything is read and checked before the first variable changes."""
        state = self._state
        names = [MODEL, OPTIMIZER]
        names += [name for name in (METRICS, EXTRA) if saved.fits(name, state.section(name))]
        values = {name: saved.values(name, state.section(name)) for name in names}
        self._take_place(saved)
        for name, arrays in values.items():
            state.put(name, arrays)
        if METRICS not in values:
            _LOG.info("checkpoint %s has other metrics: they begin anew", saved.path)
            state.trainable.reset_metrics()
        if EXTRA not in values:
            _LOG.warning(
                "checkpoint %s has other variables besides the model's: %s begin anew",
                saved.path,
                listing([n.path for n in state.section(EXTRA)]),
            )
        state.holds = saved.identity
        _LOG.info("training goes on from checkpoint %s, step %d", saved.path, self.step)

    def _take_place(self, saved: SavedCheckpoint) -> None:
        """Takes over the step, the position in the input and the hooks' states of a checkpoint."""
        step, hook_states = saved.step, dict(saved.about["hooks"])
        self._position.restore(saved)
        self._state.step.assign(step)
        self.step, self._hook_states = step, hook_states

    def advance(self, n: int) -> Advance:
        """Makes at most n steps; input that is at its end before the first step of a call begins anew.

        Raises:
            InvalidInput: a whole pass over the input gave nothing, or a batch does not fit.
        """
        made = self._run(n)
        if made.done == 0 and self._made == 0:
            self._position.begin_anew("the input was at its end")
            self._loop = self._steps.train(self._position.spec)
            made = self._run(n)
            if made.done == 0:
                raise self._position.nothing_given()
        return made

    def _run(self, n: int) -> Advance:
        self._state.holds = self._state.snapshot = None
        try:
            with ExplainedBatches(self._position.input_fn, self._state.trainable.name):
                done, more, logs, same = self._loop(self._position.iterator, n)
            if not same:
                raise self._position.not_shared()
        except BaseException:
            # Some variables may be a step ahead of the others: the next call starts like a new process.
            self.restored = False
            self._position.forget()
            raise
        self.step += done
        self._made += done
        self._position.made(done, more)
        return Advance(done, more, logs)

    def idle(self) -> None:
        """Makes a call of no step."""
        self._loop(self._position.iterator, 0)

    def save(self, hook_states: Mapping[str, Any]) -> str | PendingSave:
        """Writes a checkpoint, at once or beside the next steps.

        Returns:
            Its path, or what gives it once it is written.

        Raises:
            CannotWrite: it cannot be written.
            InvalidType: a hook's state is not JSON.
        """
        metrics = self._replicas.together([n.variable.read_value() for n in self._state.section(METRICS)])
        if not self._replicas.chief:
            self._hook_states = dict(hook_states)
            self._wait_for_the_write()
            return path_of(self.model_dir, self.step)
        snapshot = self._writer.take(self.step, self._position, hook_states, metrics)
        self._hook_states = dict(hook_states)
        keep = list(self.keep())
        if self._beside:
            future = self._writer.write_beside(snapshot, keep)
            return Pending(future, lambda path: self._written(path, snapshot))
        path = self._writer.write(snapshot, keep)
        self._written(path, snapshot)
        self._wait_for_the_write()
        return path

    def _wait_for_the_write(self) -> None:
        """Has all processes go on once the chief has written, unless it writes beside the next steps."""
        if not self._beside:
            self._replicas.any_of(False)

    def _written(self, path: str, snapshot: Snapshot) -> None:
        state = self._state
        if self.step == snapshot.step:
            state.holds = snapshot.identity
        else:
            state.snapshot = snapshot  # whoever evaluates it before the next step need not read it again
        _LOG.info("saved %s", path)

    def agree(self, stop: bool, save: bool, cut: bool) -> tuple[bool, bool, bool]:
        """Returns what all processes do now: stop if any of them wants to, save if the chief does.

        The third says whether a signal asked one of them to stop.
        """
        stop, save, cut = self._replicas.any_of(stop, save and self._replicas.chief, cut)
        return stop, save, cut

    def hook_states(self) -> Mapping[str, Any]:
        """Returns the hooks' states of the newest checkpoint that was restored or written."""
        return self._hook_states
