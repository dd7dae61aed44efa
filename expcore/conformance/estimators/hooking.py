"""Promises of an estimator that takes expcore's hooks, which it says by having ``supports_hook``."""

from __future__ import annotations

from functools import partial
from typing import Any

from expcore.conformance.estimators.case import EstimatorCase
from expcore.conformance.estimators.clauses import clauses

PAGE = "writing-a-plugin.md#a-hook"
FORMS = ("supports_hook",)


class Watcher:
    """A hook that notes what it is told of, and acts at a step.

    Args:
        every: control is needed at the multiples of this; None: only at the end.
        at: the step at which to act.
        act: called with the run.
    """

    def __init__(self, every: int | None = None, at: int | None = None, act: Any = None) -> None:
        self.every, self.at, self.act = every, at, act
        self.told: list[tuple[str, int]] = []
        self.paths: list[str] = []
        self.errors: list[BaseException] = []

    def steps(self, method: str) -> list[int]:
        """Returns the steps at which a method was called."""
        return [step for name, step in self.told if name == method]

    def begin(self, run: Any) -> None:
        """Notes it."""
        self.told.append(("begin", int(run.step)))

    def next_step(self, step: int) -> int | None:
        """The next multiple."""
        return None if self.every is None else step - step % self.every + self.every

    def after_steps(self, run: Any) -> None:
        """Notes it, and acts."""
        self.told.append(("after_steps", int(run.step)))
        if self.act is not None and run.step == self.at:
            self.act(run)

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Notes it."""
        self.told.append(("after_save", int(run.step)))
        self.paths.append(checkpoint_path)

    def end(self, run: Any) -> None:
        """Notes it."""
        self.told.append(("end", int(run.step)))

    def failed(self, run: Any, error: BaseException) -> None:
        """Notes it."""
        self.told.append(("failed", int(run.step)))
        self.errors.append(error)


class Counter:
    """A hook with a state."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.given: list[Any] = []

    def after_steps(self, run: Any) -> None:
        """It needs none of it."""

    def get_state(self) -> dict[str, Any]:
        """Returns the count."""
        return {"count": self.count, "words": ["a", "b"]}

    def set_state(self, state: Any) -> None:
        """Notes what it is given."""
        self.given.append(state)


@clauses.must(40, after=(1,), forms=FORMS, hint="return expcore.types.is_hook(hook), or less")
def says_which_hooks_it_takes(case: EstimatorCase) -> None:
    """It says yes by ``supports_hook`` to a hook that has every method, and no to what is no hook."""
    estimator = case.make()
    case.require(estimator.supports_hook(Watcher()), "it says no to a hook that has every method", "yes")
    for foreign in (object(), "a hook", None, Watcher):
        case.require(not estimator.supports_hook(foreign), f"it says yes to {foreign!r}", "no")


@clauses.must(41, after=(40, 8), forms=FORMS, page=PAGE, hint="drive hooks with expcore.loop.TrainingLoop")
def tells_hooks_of_the_beginning_and_the_end(case: EstimatorCase) -> None:
    """It tells a hook of the beginning, the last step, the save and the end, in this order, once each.

    Without a wish of its own it is called after no other steps.
    """
    estimator = case.estimator()
    for start, end in ((0, 3), (3, 5)):
        hook = Watcher()
        case.train(estimator, hooks=[hook], steps=end - start)
        wanted = [("begin", start), ("after_steps", end), ("after_save", end), ("end", end)]
        case.require(hook.told == wanted, f"it was told {hook.told}", str(wanted))


@clauses.must(42, after=(41,), forms=FORMS, page=PAGE, hint="stop where the smallest next_step() says")
def calls_hooks_when_due(case: EstimatorCase) -> None:
    """It calls each hook after the steps that its ``next_step`` asked for, and at the end."""
    estimator = case.estimator()
    by_two, by_three = Watcher(every=2), Watcher(every=3)
    case.train(estimator, hooks=[by_two, by_three], steps=7)
    for hook, wanted in ((by_two, [2, 4, 6, 7]), (by_three, [3, 6, 7])):
        found = hook.steps("after_steps")
        told = f"one that wants every {hook.every}. step was called at {found} until 7"
        case.require(found == wanted, told, str(wanted))


@clauses.must(43, after=(42,), forms=FORMS, page=PAGE, hint="look at run.stop_reason after each stop")
def stops_where_a_hook_asks(case: EstimatorCase) -> None:
    """It ends training where a hook calls ``run.request_stop``, and saves that step."""
    estimator = case.estimator()
    hook = Watcher(every=2, at=4, act=lambda run: run.request_stop("enough"))
    case.train(estimator, hooks=[hook], steps=9)
    case.require_step(estimator, 4, "train(steps=9) with a hook that asked for the end at step 4")
    found = hook.told[-1:]
    case.require(found == [("end", 4)], f"the last that the hook was told is {found}", "[('end', 4)]")


@clauses.must(
    44, after=(17, 21, 42), forms=FORMS, page=PAGE, hint="save once after all hooks' after_steps of a stop"
)
def saves_where_a_hook_asks(case: EstimatorCase) -> None:
    """It makes one checkpoint where a hook calls ``run.request_save``, and tells hooks its path."""
    estimator = case.estimator()
    hook = Watcher(every=2, at=4, act=lambda run: run.request_save())
    case.train(estimator, hooks=[hook], steps=6)
    found = hook.steps("after_save")
    case.require(found == [4, 6], f"asked for at step 4 until 6, there were saves at {found}", "[4, 6]")
    for path, step in zip(hook.paths, found, strict=True):
        seen = case.step(estimator, path)
        case.require(seen == step, f"the path told at step {step}, {path!r}, holds step {seen}")


def _raise(error: Exception) -> Any:
    def act(_: Any) -> None:
        raise error

    return act


@clauses.must(45, after=(42,), forms=FORMS, page=PAGE, hint="call failed(run, error) in except, then raise")
def tells_hooks_of_a_failure(case: EstimatorCase) -> None:
    """It lets through what a hook raises, and tells every hook by ``failed`` instead of ``end``."""
    estimator, error = case.estimator(), RuntimeError("a hook's own")
    bystander, culprit = Watcher(), Watcher(every=2, at=2, act=_raise(error))
    run = lambda: case.train(estimator, hooks=[bystander, culprit], steps=4)  # noqa: E731
    seen = case.raised(run, RuntimeError)
    case.require(seen is error, f"a hook raised {error!r}, and train() {seen!r}", "the very same error")
    for hook in (bystander, culprit):
        case.require(hook.errors == [error], f"failed() was called with {hook.errors}", f"[{error!r}]")
        case.require(not hook.steps("end"), "end() was called as well", "only failed()")


@clauses.must(
    46, after=(41, 25), forms=FORMS, page=PAGE, hint="keep get_state() of every hook in the checkpoint"
)
def keeps_the_state_of_hooks(case: EstimatorCase) -> None:
    """It keeps the state of hooks with the checkpoint, and gives it back after a restart."""
    first = Counter(7)
    case.train(case.estimator(), hooks=[first], steps=2)
    case.require(not first.given, f"a first training gave the state {first.given}", "none")
    again = Counter(0)
    case.train(case.estimator(), hooks=[again], steps=2)
    wanted = [{"count": 7, "words": ["a", "b"]}]
    case.require(again.given == wanted, f"after a restart the hook was given {again.given}", str(wanted))


class Inspector:
    """A hook that writes down what the run says of itself, and asks for a save at step 4."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.saves: list[tuple[int, bool]] = []

    def begin(self, run: Any) -> None:
        """What is known before the first step."""
        self.first = _said(run)

    def next_step(self, step: int) -> int:
        """Each even step."""
        return step - step % 2 + 2

    def after_steps(self, run: Any) -> None:
        """Asks for the save."""
        self.last = _said(run)
        if run.step == 4:
            run.request_save()

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Whether it is the last."""
        self.saves.append((int(run.step), bool(run.ending)))


def _said(run: Any) -> dict[str, Any]:
    found = {name: getattr(run, name) for name in ("model_dir", "until", "stop_reason", "ending", "history")}
    return {**found, "metrics": dict(run.metrics)}


@clauses.must(60, after=(44,), forms=FORMS, page=PAGE, hint="give hooks the run of expcore.loop.TrainingLoop")
def tells_hooks_about_the_run(case: EstimatorCase) -> None:
    """It tells hooks, by the run, its limit, directory and metrics, and which save is the last.

    Before the first step there are no metrics and there is no reason to stop.
    """
    estimator, hook = case.estimator(), Inspector()
    case.train(estimator, hooks=[hook], max_steps=6)
    known = {"model_dir": estimator.model_dir, "until": 6, "ending": False, "history": None}
    wanted = {**known, "stop_reason": None, "metrics": {}}
    case.require(hook.first == wanted, f"in begin the run said {hook.first}", str(wanted))
    metrics = hook.last["metrics"]
    case.require(metrics, "after the last step the run has no metrics", "at least one")
    for name, value in metrics.items():
        with case.no_error(f"float() of the training metric {name!r}, {value!r},", "a number"):
            float(value)
    case.require(hook.saves == [(4, False), (6, True)], f"saves, and whether `ending`: {hook.saves}")


class Timed:
    """A hook that wants control as often as may be."""

    every_secs = 0.0

    def __init__(self) -> None:
        self.steps: list[int] = []

    def after_steps(self, run: Any) -> None:
        """Notes the step."""
        self.steps.append(int(run.step))


@clauses.must(
    61, after=(41,), forms=FORMS, page=PAGE, hint="stop at the first step after every_secs have passed"
)
def calls_hooks_by_the_clock(case: EstimatorCase) -> None:
    """It calls a hook that has ``every_secs`` when these have passed: with 0 after every step."""
    estimator, hook = case.estimator(), Timed()
    case.train(estimator, hooks=[hook], steps=3)
    case.require(hook.steps == [1, 2, 3], f"with every_secs=0 it was called at {hook.steps}", "[1, 2, 3]")


@clauses.must(62, after=(41, 17), forms=FORMS, hint="call begin, then after_steps and end once, or failed")
def tells_hooks_of_an_evaluation(case: EstimatorCase) -> None:
    """It tells hooks of an evaluation: of the beginning, and after the last batch once, and of its failure.

    The step is that of the checkpoint.
    """
    estimator = case.estimator()
    older, _ = case.two_checkpoints(estimator)
    hook = Watcher(every=1)
    case.evaluate(estimator, hooks=[hook], checkpoint_path=older)
    wanted = [("begin", 2), ("after_steps", 2), ("end", 2)]
    case.require(hook.told == wanted, f"evaluating step 2, the hook was told {hook.told}", str(wanted))
    error = RuntimeError("a hook's own")
    hook = Watcher(at=2, act=_raise(error))
    seen = case.raised(partial(case.evaluate, estimator, hooks=[hook], checkpoint_path=older), RuntimeError)
    case.require(seen is error, f"a hook raised {error!r}, and evaluate() {seen!r}", "the very same error")
    told = f"failed() was called with {hook.errors}, end() {len(hook.steps('end'))} times"
    case.require(hook.errors == [error] and not hook.steps("end"), told, "failed() once, end() never")
