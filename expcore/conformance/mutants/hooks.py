"""Hooks that keep every promise, and one that breaks each."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from expcore.conformance.case import Sample
from expcore.conformance.mutants.mutant import Mutant, Proof


class Every50:
    """Is called every 50 steps; most mutants are this with one mistake."""

    def next_step(self, step: int) -> Any:
        """The next multiple of 50."""
        return step - step % 50 + 50

    def after_steps(self, run: Any) -> None:
        """Does nothing."""


class Diary(Every50):
    """A reference: writes down the loss, saves when it has halved, and ends training after four looks."""

    _file: TextIO | None = None

    def begin(self, run: Any) -> None:
        """Opens the diary."""
        self.saved, self.looks = math.inf, 0
        self._file = Path(run.model_dir, "diary.txt").open("a")  # noqa: SIM115

    def after_steps(self, run: Any) -> None:
        """Writes a line."""
        loss = run.metrics.get("loss")
        if loss is None or self._file is None:
            return
        self._file.write(f"{run.step} {loss}\n")
        self.looks += 1
        if loss < self.saved / 2:
            self.saved = loss
            run.request_save()
        if self.looks >= 4:
            run.request_stop(f"diary: {self.looks} looks")

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Writes a line."""
        if self._file is not None:
            self._file.write(f"{checkpoint_path}{' (the last)' if run.ending else ''}\n")

    def end(self, run: Any) -> None:
        """Closes the diary."""
        self.close()

    def failed(self, run: Any, error: BaseException) -> None:
        """Closes the diary."""
        self.close()

    def close(self) -> None:
        """Closes it, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def get_state(self) -> dict[str, Any]:
        """What counts over restarts."""
        return {"saved": self.saved, "looks": self.looks}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on counting."""
        self.saved, self.looks = state["saved"], state["looks"]


class Timed:
    """A reference: looks at the pace every ten seconds."""

    every_secs = 10.0

    def begin(self, run: Any) -> None:
        """Starts to measure."""
        self.at, self.since = run.step, run.clock.monotonic()
        self.pace = 0.0

    def after_steps(self, run: Any) -> None:
        """Measures."""
        secs = run.clock.monotonic() - self.since
        self.pace = (run.step - self.at) / secs if secs > 0 else 0.0


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


class Stateful(Every50):
    """A state that is right; the mutants of states are this with one mistake."""

    def __init__(self) -> None:
        self.looks = 0

    def begin(self, run: Any) -> None:
        """Begins anew."""
        self.looks = 0

    def after_steps(self, run: Any) -> None:
        """Asks for a checkpoint at every third look."""
        self.looks += 1
        if self.looks % 3 == 0:
            run.request_save()

    def get_state(self) -> Any:
        """The number of looks."""
        return {"looks": self.looks}

    def set_state(self, state: Any) -> None:
        """Goes on counting."""
        self.looks = state["looks"]


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
        import tensorflow  # noqa: F401


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

    def begin(self, run: Any) -> None:
        """Knows where it begins."""
        self.asked = 0

    def next_step(self, step: int) -> Any:
        """So many more; at the first question the rest of the grid."""
        return step + 7


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


class CountsFromTheStart(Every50):
    """Its grid begins where its run begins."""

    def begin(self, run: Any) -> None:
        """Notes where."""
        self.first = run.step

    def next_step(self, step: int) -> Any:
        """So many after the start."""
        return self.first + super().next_step(step - self.first)


class LooksToKnow(Every50):
    """Reads the metrics at each stop."""

    def begin(self, run: Any) -> None:
        """Keeps the run."""
        self.run = run

    def next_step(self, step: int) -> Any:
        """Sooner where the loss is high."""
        return step + 1 if self.run.metrics.get("loss", 0.0) > 1e9 else super().next_step(step)


class KeepsItsCount(Every50):
    """Keeps the number of its looks from run to run."""

    def __init__(self) -> None:
        self.looks = 0

    def after_steps(self, run: Any) -> None:
        """Ends training after three looks."""
        self.looks += 1
        if self.looks >= 4:
            run.request_stop("four looks")


class WorksOnceOnly(Every50):
    """Saves at its first look, and in a second run no more."""

    saved = False

    def after_steps(self, run: Any) -> None:
        """Saves once in its life."""
        if not self.saved and run.step % 50 == 0:
            self.saved = True
            run.request_save()


class TakesMetrics(Every50):
    """Takes the loss out of the metrics."""

    def after_steps(self, run: Any) -> None:
        """Takes it."""
        run.metrics.pop("loss", None)


class AddsToMetrics(Every50):
    """Adds its own to the metrics."""

    def after_steps(self, run: Any) -> None:
        """Adds the step."""
        run.metrics["step"] = run.step


class SharesItsCount(Every50):
    """Counts on the class, so that two of them count together."""

    looks = 0

    def begin(self, run: Any) -> None:
        """Begins anew, for all of them."""
        type(self).looks = 0

    def after_steps(self, run: Any) -> None:
        """Ends training after four looks."""
        type(self).looks += 1
        if self.looks >= 4:
            run.request_stop("four looks")


class FailsAgain(Every50):
    """Fails when it is told of a failure."""

    def failed(self, run: Any, error: BaseException) -> None:
        """Looks for a reason that is not there."""
        self.reason = error.args[7]


class FailsUnbegun(Every50):
    """Takes for granted that it has begun."""

    def begin(self, run: Any) -> None:
        """Starts to count."""
        self.lines = [f"from step {run.step}"]

    def failed(self, run: Any, error: BaseException) -> None:
        """Adds to what may not be there."""
        self.lines.append(f"failed at step {run.step}")


class LeavesAFile(Every50):
    """Closes its file only after a good end."""

    def begin(self, run: Any) -> None:
        """Opens it."""
        self.file = Path(run.model_dir, "lines.txt").open("a")  # noqa: SIM115

    def end(self, run: Any) -> None:
        """Closes it."""
        self.file.close()


class LeavesAThread(Every50):
    """Never ends the thread that it has begun."""

    def begin(self, run: Any) -> None:
        """Begins it."""
        self.thread = threading.Thread(target=threading.Event().wait, args=(5.0,), daemon=True)
        self.thread.start()


class ChangesDirectory(Every50):
    """Makes the model directory the working directory."""

    def begin(self, run: Any) -> None:
        """Goes there."""
        os.chdir(run.model_dir)


class SetsAVariable(Every50):
    """Sets a variable of the environment."""

    def after_steps(self, run: Any) -> None:
        """Sets it, to something else each time."""
        os.environ["LAST_STEP"] = f"{run.step} {time.monotonic()}"


class TakesASignal(Every50):
    """Takes over a signal."""

    def begin(self, run: Any) -> None:
        """Asks for the end where it comes."""
        signal.signal(signal.SIGUSR1, lambda _number, _frame: run.request_stop("signal"))


class WritesBeside(Every50):
    """Writes into the working directory."""

    def after_steps(self, run: Any) -> None:
        """Writes the step."""
        Path("step.txt").write_text(str(run.step))


class SleepsForReal(Every50):
    """Waits by the machine's clock."""

    def after_steps(self, run: Any) -> None:
        """Waits a little."""
        time.sleep(1e-6)


class GivesNoReason(Every50):
    """Ends training and does not say why."""

    def after_steps(self, run: Any) -> None:
        """Ends it."""
        if run.step >= 150:
            run.request_stop("")


def _made(kind: Any) -> Sample:
    return Sample(factory=kind)


_ONE = Every50()

PROOF = Proof(
    references={"diary": _made(Diary), "timed": _made(Timed), "an object that is copied": Sample(Stateful())},
    mutants=(
        Mutant("HOK-001", "is a class", _made(lambda: Every50)),
        Mutant("HOK-001", "has the methods of another framework", _made(Unsorted)),
        Mutant("HOK-001", "is the same object each time", _made(lambda: _ONE)),
        Mutant("HOK-002", "after_save without the path", _made(WithoutPath)),
        Mutant("HOK-002", "failed without the error", _made(WithoutError)),
        Mutant("HOK-003", "never asks to be called again", _made(OnlyOnce)),
        Mutant("HOK-003", "asks for the step that it is at", _made(AsksForNow)),
        Mutant("HOK-003", "gives its step as a text", _made(AnswersInWords)),
        Mutant("HOK-004", "gives its seconds as a text", _made(SecondsInWords)),
        Mutant("HOK-004", "has negative seconds", _made(NegativeSeconds)),
        Mutant("HOK-005", "has a set in its state", _made(StateOfObjects)),
        Mutant("HOK-005", "has a number as its state", _made(StateIsNumber)),
        Mutant("HOK-006", "imports TensorFlow and does not say so", _made(WantsTensorFlow)),
        Mutant("HOK-007", "needs a metric that is not there", _made(WantsAccuracy)),
        Mutant("HOK-008", "needs the beginning of the training", _made(WantsTheBeginning)),
        Mutant("HOK-009", "needs a step", _made(WantsALoss)),
        Mutant("HOK-010", "needs an end", _made(WantsAnEnd)),
        Mutant("HOK-011", "needs an experiment and does not say so", _made(WantsAnExperiment)),
        Mutant("HOK-012", "moves its point on with each stop", _made(MovesOn)),
        Mutant("HOK-013", "is called once a run and no more", _made(OncePerRun)),
        Mutant("HOK-013", "has a grid that begins with the run", _made(CountsFromTheStart)),
        Mutant("HOK-014", "reads the metrics at each stop", _made(LooksToKnow)),
        Mutant("HOK-015", "keeps its count from run to run", _made(KeepsItsCount)),
        Mutant("HOK-015", "works in its first run only", _made(WorksOnceOnly)),
        Mutant("HOK-016", "forgets a field of its state", _made(ForgetsAField)),
        Mutant("HOK-017", "decides by what is not in its state", _made(StateTooSmall)),
        Mutant("HOK-018", "takes the loss out of the metrics", _made(TakesMetrics)),
        Mutant("HOK-018", "adds to the metrics", _made(AddsToMetrics)),
        Mutant("HOK-019", "counts on the class", _made(SharesItsCount)),
        Mutant("HOK-020", "fails when it is told of a failure", _made(FailsAgain)),
        Mutant("HOK-020", "fails when it has not begun", _made(FailsUnbegun)),
        Mutant("HOK-021", "leaves a file open after a failure", _made(LeavesAFile)),
        Mutant("HOK-021", "leaves a thread running", _made(LeavesAThread)),
        Mutant("HOK-022", "changes the working directory", _made(ChangesDirectory)),
        Mutant("HOK-022", "sets a variable of the environment", _made(SetsAVariable)),
        Mutant("HOK-022", "takes over a signal", _made(TakesASignal)),
        Mutant("HOK-023", "writes into the working directory", _made(WritesBeside)),
        Mutant("HOK-024", "waits by time.sleep", _made(SleepsForReal)),
        Mutant("HOK-025", "ends training and does not say why", _made(GivesNoReason)),
    ),
)
