"""Real waits: what a component waits for by something else than the experiment's clock."""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from expcore.conformance.clause import Runaway

PATIENCE_SECS = 0.2
"""A wait for something (a thread, a socket) that comes sooner is no wait; the first one takes so long."""

MAX_WAITS = 1000
"""So many real waits in one run, and a schedule waits for ever."""

_SOCKET = ("accept", "recv", "recvfrom")


class RealWaits:
    """Keeps the real waits of one run, and cuts them short: nobody really waits.

    Attributes:
        calls: what was called, such as "time.sleep(5)".
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._thread = threading.get_ident()
        self._others = {t.ident for t in threading.enumerate()} - {self._thread}

    @property
    def _patience(self) -> float:
        return 0.0 if self.calls else PATIENCE_SECS

    def _note(self, name: str, secs: Any) -> None:
        self.calls.append(f"{name}({secs})")
        if len(self.calls) > MAX_WAITS:
            raise Runaway(f"it called {name} and its like {MAX_WAITS} times without coming to an end")

    @property
    def _mine(self) -> bool:
        return threading.get_ident() == self._thread

    def _sleep(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def sleep(secs: float) -> None:
            if threading.get_ident() in self._others:
                original(secs)
            else:
                self._note("time.sleep", secs)

        return sleep

    def _async_sleep(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def sleep(delay: float, result: Any = None) -> Any:
            if self._mine and delay > 0:
                self._note("asyncio.sleep", delay)
                delay = 0
            return await original(delay, result)

        return sleep

    def _select(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(r: Any, w: Any, x: Any, timeout: float | None = None) -> Any:
            if not self._mine or not timeout:
                return original(r, w, x, timeout)
            found = original(r, w, x, min(timeout, self._patience if any((r, w, x)) else 0.0))
            if not any(found):
                self._note("select.select", timeout)
            return found

        return call

    def _condition(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def wait(condition: Any, timeout: float | None = None) -> Any:
            if not self._mine or timeout is None or timeout <= 0:
                return original(condition, timeout)
            found = original(condition, min(timeout, self._patience))
            if not found:
                self._note("threading.Event/Condition.wait", timeout)
            return found

        return wait

    def _socket(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(own: socket.socket, *args: Any) -> Any:
            timeout = own.gettimeout()
            if not self._mine or not timeout:
                return original(own, *args)
            own.settimeout(min(timeout, self._patience or 1e-6))
            try:
                return original(own, *args)
            except TimeoutError:
                self._note(f"socket.{name} with a timeout of ", timeout)
                raise
            finally:
                own.settimeout(timeout)

        return call

    @contextmanager
    def watching(self, component: Any) -> Iterator[None]:
        """A block in which they are kept.

        Args:
            component: ``from time import sleep`` gave a module of its package a name of its own for it.
        """
        functions = [
            (time, "sleep", self._sleep(time.sleep)),
            (asyncio, "sleep", self._async_sleep(asyncio.sleep)),
            (select, "select", self._select(select.select)),
        ]
        places: list[tuple[Any, str, Any]] = [
            (threading.Condition, "wait", self._condition(threading.Condition.wait)),
            *((socket.socket, name, self._socket(name, getattr(socket.socket, name))) for name in _SOCKET),
        ]
        modules = _modules(component)
        for home, name, other in functions:
            original = getattr(home, name)
            places.append((home, name, other))
            places += [(m, n, other) for m in modules for n, v in vars(m).items() if v is original]
        kept = [(place, name, vars(place).get(name)) for place, name, _ in places]
        for place, name, other in places:
            setattr(place, name, other)
        try:
            yield
        finally:
            for place, name, before in kept:
                if before is None:
                    delattr(place, name)  # it is the base's again
                else:
                    setattr(place, name, before)


def _modules(component: Any) -> list[ModuleType]:
    module = getattr(component, "__module__", None) or type(component).__module__
    top = module.partition(".")[0]
    loaded = [m for name, m in list(sys.modules.items()) if name.partition(".")[0] == top]
    return [m for m in loaded if isinstance(m, ModuleType) and m not in (time, asyncio, select)]
