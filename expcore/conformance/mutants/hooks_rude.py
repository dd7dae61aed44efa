"""Hooks that get in the way of others: of other hooks, of the process, of the file system."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from expcore.conformance.mutants.hooks_right import Every50


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


class Acts(Every50):
    """Does something else besides."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def after_steps(self, run: Any) -> None:
        """Does it."""
        self.act()
