"""The hook profiler: traces of a few training steps by TensorFlow's profiler."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from expcore.errors import CannotWrite, InvalidArgument, one_line
from expcore.temporary import sweep, temporary_directory
from expcore.types import Clock, Run
from expcore_plugins.arguments import whole

_SUBJECT = "hook 'profiler'"
_LOG = logging.getLogger(__name__)


class Profiler:
    """Traces windows of training steps for TensorBoard's Profile tab.

    A window is the ``steps`` steps after a global step: with the default arguments the steps 11 to 15. Which
    steps are traced depends on nothing else, so a restart keeps to them: one in the middle of a window
    traces the rest of it, and one after the last window traces nothing and says so in one line of the log.

    In a window each step is a call of its own, with a mark in the trace that has its number; hooks,
    checkpoints and evaluations after a step are in the trace, in the mark of the next step. Steps outside the
    windows are not affected. A window that the end of the run or a failure cuts short is written as far as it
    came, if a step was made.

    A trace is ``<directory>/plugins/profile/<time>-steps-<first>-<last>/<host>.xplane.pb``, and appears when
    it is complete. A process has one profiler: where somebody else's is running when a window begins, that
    window is left out, and one line of the log says so, once a run.

    Args:
        start_step: the global step after which the first window begins, >= 0. The first steps after a start
            are slower than the others.
        steps: how many steps a window has, >= 1.
        every_n_steps: global steps from the beginning of one window to that of the next, >= ``steps``; None:
            there is only one.
        directory: where to write; None: the model directory.

    Raises:
        InvalidArgument: an argument is something else.
    """

    requires = "tensorflow"
    """Estimators that do without TensorFlow do not take this hook."""

    def __init__(
        self,
        start_step: int = 10,
        steps: int = 5,
        every_n_steps: int | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        self.start_step = whole(_SUBJECT, "start_step", start_step, least=0)
        self.steps = whole(_SUBJECT, "steps", steps, least=1)
        if every_n_steps is not None:
            every_n_steps = whole(_SUBJECT, "every_n_steps", every_n_steps, least=1)
            if every_n_steps < self.steps:
                raise InvalidArgument(
                    f"{_SUBJECT}: every_n_steps is {every_n_steps} and steps is {self.steps}; windows must "
                    "not overlap; give every_n_steps of at least steps, or fewer steps"
                )
        self.every_n_steps = every_n_steps
        if directory is not None and (not isinstance(directory, (str, os.PathLike)) or not directory):
            raise InvalidArgument(
                f"{_SUBJECT}: directory is {directory!r}; it must be a path, or None for the model directory"
            )
        self.directory = directory
        self._recording: _Recording | None = None
        self._tried: int | None = None
        self._told = False

    def _window(self, step: int) -> int | None:
        """The beginning of the window that a step is in, or of the next one; None where none is left."""
        first, n = self.start_step, self.every_n_steps
        if n is not None and step > first:
            first = step - (step - first) % n
        if step < first + self.steps:
            return first
        return None if n is None else first + n

    def begin(self, run: Run) -> None:
        """Makes the directory, and begins to trace where the run begins in a window.

        Raises:
            CannotWrite: the directory cannot be made or written.
        """
        self._tried, self._told = None, False
        if self._window(run.step) is not None:
            with _as_cannot_write(self._place(run)):
                os.makedirs(self._place(run) or os.curdir, exist_ok=True)
        else:
            _LOG.info(
                "%s: training goes on from step %d, after the steps %d to %d: nothing is traced; give "
                "a later start_step, or every_n_steps",
                _SUBJECT,
                run.step,
                self.start_step + 1,
                self.start_step + self.steps,
            )
        self._go_on(run)

    def _place(self, run: Run) -> str:
        return os.fspath(self.directory or run.model_dir)

    def next_step(self, step: int) -> int | None:
        """Returns the beginning of the next window; in a window the next step; None after the last."""
        first = self._window(step)
        return first if first is None or step < first else step + 1

    def after_steps(self, run: Run) -> None:
        """Ends the trace where its window is over or the run ends, and begins it where one begins.

        Raises:
            CannotWrite: the trace cannot be written.
        """
        if self._recording is not None and (_over(run) or self._window(run.step) != self._tried):
            self._end(run.step)
        self._go_on(run)

    def _go_on(self, run: Run) -> None:
        first = self._window(run.step)
        if first is None or run.step < first or _over(run):
            return
        if self._recording is None and self._tried != first:
            self._tried = first
            self._recording = self._start(run)
        if self._recording is not None:
            self._recording.mark(run.step + 1)

    def _start(self, run: Run) -> _Recording | None:
        import tensorflow as tf

        try:
            return _Recording(self._place(run), run.clock, run.step)
        except tf.errors.AlreadyExistsError:
            if not self._told:
                _LOG.warning(
                    "%s: another profiler is running in this process: the steps from %d on are not traced",
                    _SUBJECT,
                    run.step + 1,
                )
            self._told = True
            return None

    def _end(self, step: int) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.end(step)

    def end(self, run: Run) -> None:
        """Ends a trace that the end of the run cuts short.

        Raises:
            CannotWrite: the trace cannot be written.
        """
        self._end(run.step)

    def failed(self, run: Run, error: BaseException) -> None:
        """Ends a trace that the failure cuts short; if it cannot be written, the log says so."""
        try:
            self._end(run.step)
        except CannotWrite as second:
            _LOG.warning("%s", second)


def _over(run: Run) -> bool:
    return run.stop_reason is not None or (run.until is not None and run.step >= run.until)


class _Recording:
    """A trace that is being made; while there is one, the process's profiler runs.

    Args:
        directory: where it goes.
        clock: tells how old the leftovers of other machines are.
        step: the global step at which it begins.

    Raises:
        CannotWrite: the directory cannot be made or written.
        tf.errors.AlreadyExistsError: a profiler is running.
    """

    def __init__(self, directory: str, clock: Clock, step: int) -> None:
        import tensorflow as tf

        self._directory, self._step = directory, step
        self._mark: Any = None
        with ExitStack() as stack:
            with _as_cannot_write(directory):
                os.makedirs(directory, exist_ok=True)
                sweep(directory, clock)
                # TensorFlow names traces by the second, and of two in one second the later takes the place.
                self._place = stack.enter_context(temporary_directory(directory))
            tf.profiler.experimental.start(self._place)
            self._resources = stack.pop_all()

    def mark(self, step: int) -> None:
        """Ends the mark of the step before, and begins that of a step."""
        import tensorflow as tf

        self._unmark()
        self._mark = tf.profiler.experimental.Trace("train", step_num=step, _r=1)

    def _unmark(self) -> None:
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.__exit__(None, None, None)

    def end(self, step: int) -> None:
        """Ends the trace at a global step, and publishes it if steps were made.

        Raises:
            CannotWrite: it cannot be written.
        """
        import tensorflow as tf

        self._unmark()
        made = step > self._step
        with self._resources, _as_cannot_write(self._directory):
            try:
                tf.profiler.experimental.stop(save=made)
            except tf.errors.UnavailableError:
                _LOG.warning(
                    "%s: the trace from step %d on is lost: somebody else stopped the profiler",
                    _SUBJECT,
                    self._step + 1,
                )
                return
            if made:
                self._publish(step)

    def _publish(self, step: int) -> None:
        inner = os.path.join("plugins", "profile")
        for time in os.listdir(os.path.join(self._place, inner)):
            written = os.path.join(self._place, inner, time)
            target = os.path.join(self._directory, inner, f"{time}-steps-{self._step + 1}-{step}")
            os.makedirs(target, exist_ok=True)  # of several hosts each brings a file
            for name in os.listdir(written):
                os.replace(os.path.join(written, name), os.path.join(target, name))
            _LOG.info("%s: the trace of steps %d to %d is %s", _SUBJECT, self._step + 1, step, target)


def _disk_errors() -> tuple[type[Exception], ...]:
    """What says that the disk refuses; TensorFlow has errors of its own, once it is there."""
    tf = sys.modules.get("tensorflow")
    return (OSError,) if tf is None else (OSError, tf.errors.OpError)


@contextmanager
def _as_cannot_write(directory: str) -> Iterator[None]:
    try:
        yield
    except _disk_errors() as error:
        raise CannotWrite(
            f"{_SUBJECT}: no trace can be written in {directory!r} ({one_line(error)}); make room or "
            "permissions, or give another directory"
        ) from error
