"""Hooks that are wrong about when they are called, or about what a training is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from expcore.conformance.mutants.hooks_right import Every50, Stateful, Timed


class Unsorted:
    """Has the names of other frameworks."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Is never called."""


class WithoutPath(Every50):
    """Takes too little."""

    def after_save(self, run: Any) -> None:
        """Lacks the path."""


class WithoutError(Every50):
    """Takes too little."""

    def failed(self, run: Any) -> None:
        """Lacks the error."""


class OnlyOnce(Every50):
    """Works out its step once, and never asks to be called again."""

    def begin(self, run: Any) -> None:
        """Works out the step."""
        self.at = run.step + 50

    def next_step(self, step: int) -> Any:
        """The step that it was called at already."""
        return self.at


class AsksForNow(Every50):
    """Asks for the step that it is at."""

    def next_step(self, step: int) -> Any:
        """A multiple of 50 that may be this one."""
        return -(-step // 50) * 50 or 50


class AnswersInWords(Every50):
    """Gives its step as a text."""

    def next_step(self, step: int) -> Any:
        """A text."""
        return str(super().next_step(step))


class SecondsInWords(Timed):
    """Gives its seconds as a text."""

    every_secs: Any = "10"


class NegativeSeconds(Timed):
    """Takes a negative number for: not by time."""

    every_secs = -1.0


class StateOfObjects(Stateful):
    """Keeps what JSON cannot hold."""

    def get_state(self) -> Any:
        """A set."""
        return {"looks": self.looks, "names": {"loss"}}

    def set_state(self, state: Any) -> None:
        """Goes on counting."""
        self.looks = state["looks"]


class StateIsNumber(Stateful):
    """Gives a number as its state."""

    def get_state(self) -> Any:
        """A number."""
        return self.looks

    def set_state(self, state: Any) -> None:
        """Takes the number."""
        self.looks = state


class ForgetsAField(Stateful):
    """Does not take over all of its state, though nothing is decided by the rest."""

    def begin(self, run: Any) -> None:
        """Begins anew."""
        super().begin(run)
        self.first = run.step

    def get_state(self) -> Any:
        """Two fields."""
        return {**super().get_state(), "first": self.first}


class StateTooSmall(Stateful):
    """Decides by what is not in the state."""

    def get_state(self) -> Any:
        """Nothing of use."""
        return {"version": 1}

    def set_state(self, state: Any) -> None:
        """Has nothing to take."""


class WantsTensorFlow(Every50):
    """Imports TensorFlow and does not say so."""

    def after_steps(self, run: Any) -> None:
        """Imports it."""
        import_module("tensorflow")


class WantsAccuracy(Every50):
    """Takes a metric for granted."""

    def after_steps(self, run: Any) -> None:
        """Looks at what may not be there."""
        if run.metrics:
            self.value = run.metrics["accuracy"]


class WantsTheBeginning(Every50):
    """Takes for granted that training begins at step 0."""

    def begin(self, run: Any) -> None:
        """Makes room for each step."""
        self.losses = [0.0] if run.step == 0 else []

    def after_steps(self, run: Any) -> None:
        """Compares with what was first."""
        self.falls = run.metrics.get("loss", 0.0) < self.losses[0]


class WantsALoss(Every50):
    """Takes for granted that a step was made."""

    def after_steps(self, run: Any) -> None:
        """Looks at the loss."""
        self.loss = run.metrics["loss"]


class WantsAnEnd(Every50):
    """Takes for granted that the end is known."""

    def begin(self, run: Any) -> None:
        """Works out how many steps there are."""
        self.total = run.until - run.step


class WantsAnExperiment(Every50):
    """Takes for granted that there is a history."""

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Looks at the evaluations."""
        self.evaluations = len(run.history.evaluations)


class MovesOn(Every50):
    """Counts from wherever it is asked: the point moves on with every stop."""

    def __init__(self, n: int) -> None:
        self.n = n

    def next_step(self, step: int) -> Any:
        """So many more."""
        return step + self.n


class OncePerRun(Every50):
    """Is called once a run and then no more."""

    def begin(self, run: Any) -> None:
        """Begins anew."""
        self.done = False

    def next_step(self, step: int) -> Any:
        """Nothing more, once it was called."""
        return None if self.done else super().next_step(step)

    def after_steps(self, run: Any) -> None:
        """Is done."""
        self.done = self.done or run.step % 50 == 0


class CountsFromTheStart:
    """Its grid begins where its run begins."""

    def __init__(self, n: int) -> None:
        self.n, self.first = n, 0

    def begin(self, run: Any) -> None:
        """Notes where."""
        self.first = run.step

    def next_step(self, step: int) -> Any:
        """So many after the start."""
        return step - (step - self.first) % self.n + self.n


class LooksToKnow(Every50):
    """Reads the metrics at each stop."""

    def begin(self, run: Any) -> None:
        """Keeps the run."""
        self.run = run

    def next_step(self, step: int) -> Any:
        """Sooner where the loss is high."""
        return step + 1 if self.run.metrics.get("loss", 0.0) > 1e9 else super().next_step(step)


class KeepsItsCount:
    """Keeps the number of its looks from run to run."""

    def __init__(self, every: int, most: int) -> None:
        self.every, self.most, self.looks = every, most, 0

    def next_step(self, step: int) -> Any:
        """The next multiple."""
        return step - step % self.every + self.every

    def after_steps(self, run: Any) -> None:
        """Ends training after so many looks."""
        self.looks += 1
        if self.looks > self.most:
            run.request_stop(f"{self.most} looks")


class KeepsItsPatience(KeepsItsCount):
    """Keeps the best loss, and for how long there was none, from run to run."""

    best = float("inf")

    def after_steps(self, run: Any) -> None:
        """Ends training after so many looks without a better loss."""
        loss = run.metrics.get("loss", float("inf"))
        self.looks = 0 if loss < self.best else self.looks + 1
        self.best = min(loss, self.best)
        if self.looks >= self.most:
            run.request_stop(f"{self.most} looks")


class WorksOnceOnly(Every50):
    """Saves at its first look, and in a second run no more."""

    saved = False

    def after_steps(self, run: Any) -> None:
        """Saves once in its life."""
        if not self.saved and run.step % 50 == 0:
            self.saved = True
            run.request_save()
