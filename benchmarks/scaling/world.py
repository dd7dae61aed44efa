"""A world of processes in one virtual time; each is a thread, of which one runs at any moment."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from itertools import count

_STACK = 512 * 1024  # bytes; thousands of them have to fit


class _Process:
    def __init__(self, program: Callable[[WorldClock], None], clock: WorldClock, back: threading.Semaphore):
        self.go = threading.Semaphore(0)
        self.error: BaseException | None = None
        self._program, self._clock, self._back = program, clock, back
        self.ended = False
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        self.go.acquire()
        try:
            self._program(self._clock)
        except BaseException as error:
            self.error = error
        self.ended = True
        self._back.release()


class World:
    """Runs processes until all have ended.

    Attributes:
        now: the virtual seconds.
    """

    def __init__(self):
        self.now = 0.0
        self._queue: list[tuple[float, int, _Process]] = []
        self._order = count()
        self._back = threading.Semaphore(0)

    def run(self, programs: Sequence[Callable[[WorldClock], None]]) -> None:
        """Runs programs, each with a clock of this world.

        Raises:
            BaseException: what a program raised.
        """
        before = threading.stack_size(_STACK)
        try:
            for program in programs:
                clock = WorldClock(self)
                clock.process = _Process(program, clock, self._back)
                self.wake(clock.process, 0.0)
        finally:
            threading.stack_size(before)
        while self._queue:
            self.now, _, process = heapq.heappop(self._queue)
            process.go.release()
            self._back.acquire()
            if process.error is not None:
                raise process.error

    def wake(self, process: _Process, secs: float) -> None:
        """Has a process go on in so many seconds."""
        heapq.heappush(self._queue, (self.now + secs, next(self._order), process))

    def leave(self) -> None:
        """Lets another process run."""
        self._back.release()


class WorldClock:
    """The clock of one process (``expcore.types.Clock``)."""

    process: _Process

    def __init__(self, world: World):
        self._world = world

    def time(self) -> float:
        """Returns the virtual seconds."""
        return self._world.now

    def monotonic(self) -> float:
        """Returns the virtual seconds."""
        return self._world.now

    def sleep(self, secs: float) -> None:
        """Lets others run for so many seconds."""
        if secs > 0:
            self._world.wake(self.process, secs)
            self._world.leave()
            self.process.go.acquire()
