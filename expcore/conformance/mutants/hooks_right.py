"""Hooks that keep every promise."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TextIO


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
