"""The vocabulary: protocols of a few methods each, and the records that a history is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from expcore.experiment import Experiment

Metrics = Mapping[str, Any]
InputFn = Callable[[], Any]
EvalInputFn = InputFn | Mapping[str, InputFn]


class Clock(Protocol):
    """Source of time; the real one, or a virtual one in tests."""

    def time(self) -> float:
        """Returns seconds since the epoch."""

    def monotonic(self) -> float:
        """Returns seconds that never go back."""

    def sleep(self, secs: float) -> None:
        """Waits ``secs`` seconds."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved state of the training.

    Attributes:
        id: identifies it for ever: its save event, or path, size and time of an unrecorded one.
        path: what the estimator calls it; an opaque string to the core.
        step: the global step it holds; None where that is not known.
    """

    id: str
    path: str
    step: int | None


@dataclass(frozen=True)
class Evaluation:
    """One recorded evaluation of a checkpoint.

    Attributes:
        checkpoint: id of the checkpoint; None where the estimator evaluated without one.
        step: the global step of the evaluated checkpoint.
        metrics: the result, with ``global_step``; other sets' metrics as ``<set>/<metric>``.
        name: the name given to the evaluation; None for the plain ``eval``.
        source: "eval" (the evaluation data) or "train" (the training data).
    """

    checkpoint: str | None
    step: int
    metrics: Metrics
    name: str | None = None
    source: str = "eval"


@dataclass(frozen=True)
class Export:
    """One recorded export: exporter name, checkpoint id, its step, published path, whether it was final."""

    exporter: str
    checkpoint: str | None
    step: int | None
    path: str | None
    final: bool = False


@dataclass(frozen=True)
class Skip:
    """Something that was not done, and why.

    Attributes:
        what: "evaluation" or "export".
        subject: the exporter's name or the evaluation's name; None for the plain one.
        checkpoint: id of the checkpoint.
        reason: a short word such as "not-wanted", "vanished", "corrupt", "claimed", "superseded".
        detail: a sentence for people.
    """

    what: str
    subject: str | None
    checkpoint: str | None
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class TrainingEnd:
    """How a training run ended.

    Attributes:
        run: id of the run.
        step: the last global step; None where the estimator does not tell.
        reason: "max_steps", "steps", "input ended", "signal", or what a hook said.
        checkpoint: id of the last checkpoint; None without one.
        steps: steps made in this run.
        over: True where training is over for good; False where it was cut by a signal or a failure and may be
            started again, so that whoever waits for it goes on waiting.
    """

    run: str
    step: int | None
    reason: str
    checkpoint: str | None = None
    steps: int = 0
    over: bool = True


class History(Protocol):
    """What the log of a model directory says; a pure function of its files.

    Evaluations and saves are in the order in which the checkpoints were saved. For each checkpoint and
    source the first recorded result counts.
    """

    @property
    def saves(self) -> Sequence[Checkpoint]:
        """Every recorded checkpoint."""

    @property
    def evaluations(self) -> Sequence[Evaluation]:
        """Results on the evaluation data, one a checkpoint."""

    @property
    def train_evaluations(self) -> Sequence[Evaluation]:
        """Results of evaluations on the training data, one a checkpoint."""

    @property
    def exports(self) -> Sequence[Export]:
        """Every recorded export."""

    @property
    def skips(self) -> Sequence[Skip]:
        """Everything that was not done, with its reason."""

    @property
    def training_ends(self) -> Sequence[TrainingEnd]:
        """The ends of all training runs so far, oldest first."""

    @property
    def seconds(self) -> float:
        """Seconds that this task has been at work, over all its starts."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint in hand while it is evaluated or exported; None otherwise."""

    def best(self, metric: str, mode: str = "min") -> Evaluation | None:
        """Returns the best evaluation; ties to the earlier, NaN and results without it never count."""

    def exported(self, exporter: str, checkpoint: str | None = None) -> bool:
        """Whether an export by this name is recorded, of the given checkpoint id or of any."""


class Run(Protocol):
    """What a hook sees of a training run."""

    @property
    def step(self) -> int:
        """The global step: training steps made in all, over all runs."""

    @property
    def metrics(self) -> Metrics:
        """The training metrics by name; fetched only when asked for. Empty before the first step."""

    @property
    def model(self) -> Any:
        """The estimator's native model."""

    @property
    def model_dir(self) -> str:
        """The model directory."""

    @property
    def until(self) -> int | None:
        """The global step at which this run will end at the latest; None: no limit."""

    @property
    def ending(self) -> bool:
        """True in the last save of a run and in what comes after it."""

    @property
    def clock(self) -> Clock:
        """The clock of the run."""

    @property
    def history(self) -> History | None:
        """The log of the experiment; None where the estimator is trained without one."""

    @property
    def stop_reason(self) -> str | None:
        """Why the run stops or stopped: "max_steps", "input ended" or what a hook said; None: it goes on."""

    def request_save(self) -> None:
        """Asks for one checkpoint, after every hook's ``after_steps`` of this stop."""

    def request_stop(self, reason: str) -> None:
        """Asks that training ends at this stop; the first reason given is the one recorded."""


class Hook(Protocol):
    """Takes part in a training run. All methods are optional; an object with none is not a hook.

    A class that derives from it has all of them, doing nothing, and type checkers compare what it overrides.
    Besides the methods below a hook may have ``every_secs`` (float seconds, instead of ``next_step``;
    from the end of a stop to the next one, at least), and ``get_state`` and ``set_state`` (``StatefulHook``).
    """

    def begin(self, run: Run) -> None:
        """Called once before the first step."""
        return

    def next_step(self, step: int) -> int | None:
        """Returns the global step (> ``step``) at which control is needed next; None: only at the end."""
        return None

    def after_steps(self, run: Run) -> None:
        """Called when due, and at the end with the true step."""
        return

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        """Called after each checkpoint."""
        return

    def end(self, run: Run) -> None:
        """Called once after the last step of a run that did not fail."""
        return

    def failed(self, run: Run, error: BaseException) -> None:
        """Called once instead of ``end`` where training failed; the error is raised afterwards."""
        return


class StatefulHook(Hook, Protocol):
    """A hook with a state: JSON kept with each save, given back after ``begin``. Derive from it, or not."""

    @abstractmethod
    def get_state(self) -> Mapping[str, Any]:
        """Returns the state."""

    @abstractmethod
    def set_state(self, state: Any) -> None:
        """Takes over a state that ``get_state`` returned, as JSON gives it back."""


HOOK_METHODS = ("begin", "next_step", "after_steps", "after_save", "end", "failed")


def is_hook(value: object) -> bool:
    """Whether an object has at least one of a hook's methods, or ``every_secs`` with ``after_steps``."""
    return not isinstance(value, type) and any(callable(getattr(value, m, None)) for m in HOOK_METHODS)


@runtime_checkable
class Estimator(Protocol):
    """What can be trained and evaluated; the names are those of ``tf.estimator.Estimator``.

    Optional, asked for only by what needs them: ``predict``, ``export_saved_model``, ``checkpoints()``
    (paths, oldest first), ``restored(checkpoint_path=None)``, ``with_model_dir(path)``, and
    ``supports_hook(hook) -> bool``. An estimator with ``supports_hook`` takes expcore's hooks: it is given
    those that plugins add to every run as well, each only if it says yes, and a user's hook that it says no
    to is an InvalidHook before the first step. Without it, it gets the user's hooks and no others.
    """

    @property
    def model_dir(self) -> str:
        """The model directory."""

    @property
    def config(self) -> Any:
        """A RunConfig, or anything with some of its attributes."""

    def train(
        self,
        input_fn: InputFn,
        *,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Any:
        """Trains for ``steps`` more steps, or until global step ``max_steps``; both: ValueError."""

    def evaluate(
        self,
        input_fn: InputFn,
        *,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        """Returns metrics and ``global_step``; ``steps`` None: until the input ends."""

    def latest_checkpoint(self) -> str | None:
        """Returns the newest checkpoint's path, or None."""


ESTIMATOR_METHODS = ("train", "evaluate", "latest_checkpoint")


class Restorable(Protocol):
    """An estimator whose native model can be had with a checkpoint's weights; what formats use."""

    def restored(self, checkpoint_path: str | None = None) -> AbstractContextManager[Any]:
        """A context with the native model holding that checkpoint (None: the latest); puts the state back."""


class SavingListener(Protocol):
    """Told of each save; the methods of tf's CheckpointSaverListener. ``session`` is None without one."""

    def begin(self) -> None:
        """Called once before the first step."""

    def before_save(self, session: Any, global_step: int) -> None:
        """Called before each save."""

    def after_save(self, session: Any, global_step: int) -> bool | None:
        """Called after each save; returning True asks for the end of training."""

    def end(self, session: Any, global_step: int) -> None:
        """Called once at the end."""


class Schedule(Protocol):
    """``(experiment, **options) -> result``; its keyword parameters are its options."""

    def __call__(self, experiment: Experiment, /, *args: Any, **options: Any) -> Any:
        """Runs the experiment."""


class Predicate(Protocol):
    """``(eval_result) -> bool``, True means go on. May name ``checkpoint_path`` and ``history``."""

    def __call__(self, eval_result: Metrics | None, /, *args: Any, **named: Any) -> bool:
        """Whether to go on; None is what it is asked first."""


@runtime_checkable
class Format(Protocol):
    """Writes one artefact into the empty directory it is given; the host publishes it."""

    def write(self, estimator: Any, directory: str, /) -> None:
        """Fills ``directory``; raising throws it away. May name ``checkpoint_path`` and ``eval_result``."""


@runtime_checkable
class Exporter(Protocol):
    """Exports and publishes by itself below ``export_path``; ``tf.estimator``'s exporters are such."""

    @property
    def name(self) -> str:
        """The name, which is the directory below ``export/``."""

    def export(
        self,
        estimator: Any,
        export_path: str,
        *,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
    ) -> str | None:
        """Returns the path of what was written; None if nothing was. May name ``history`` as well."""


@dataclass(frozen=True)
class Component:
    """Something that a plugin provides under a name.

    Attributes:
        kind: "estimators", "schedules", "exporters", "hooks" or "predicates".
        name: its name, as used in configs and on the command line.
        load: returns the class or factory; imports the plugin's module on the first call.
        dist: canonical name of the distribution; "" for one registered in code.
        version: the distribution's version.
        target: where it is, as ``module:attribute``.
    """

    kind: str
    name: str
    load: Callable[[], Any] = field(repr=False)
    dist: str = ""
    version: str = ""
    target: str = ""

    @property
    def provider(self) -> str:
        """Distribution and version, for people."""
        return " ".join(part for part in (self.dist, self.version) if part) or "code"
