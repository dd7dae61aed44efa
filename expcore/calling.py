"""Calling what users wrote: which parameters a function takes, and passing it only those."""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from expcore.errors import InvalidArgument, PluginError

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of a callable by name; none for a builtin without a signature."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def required_parameters(function: Callable[..., Any]) -> list[str]:
    """Returns the names of the parameters that a call without arguments leaves without a value."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, *_NAMED)
    found = parameters(function).items()
    return [name for name, p in found if p.kind in kinds and p.default is inspect.Parameter.empty]


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes a keyword of this name, by name or through ``**kwargs``."""
    found = parameters(function)
    if name in found and found[name].kind in _NAMED:
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())


def names(function: Callable[..., Any], name: str) -> bool:
    """Whether a function itself names this parameter; ``**kwargs`` does not count."""
    found = parameters(function)
    return name in found and found[name].kind in _NAMED


def call_naming(function: Callable[..., Any], *args: Any, **offered: Any) -> Any:
    """Calls with ``args`` and those of the offered keywords that the function names."""
    return function(*args, **{k: v for k, v in offered.items() if names(function, k)})


def describe_type(kind: type) -> str:
    """Returns ``module.Class`` without private parts of the module path, for messages."""
    module = ".".join(p for p in kind.__module__.split(".") if not p.startswith("_"))
    return kind.__qualname__ if module in ("builtins", "") else f"{module}.{kind.__qualname__}"


def describe(value: object) -> str:
    """Returns how to name an object in a message: a function's name or its class."""
    name = getattr(value, "__qualname__", None)
    return str(name) if name else describe_type(type(value))


@contextmanager
def no_exit(subject: str) -> Iterator[None]:
    """Lets no ``sys.exit()`` of a plugin end the run as if all were well; only users and signals end one.

    A code of 128 and a signal's number, as StoppedBySignal has, is an end by a signal: a program's own
    handler raises it wherever it finds the run, and no plugin is to blame.

    Args:
        subject: who is called, for the message.

    Raises:
        PluginError: a SystemExit came that is no signal's; it is the ``__cause__``.
    """
    try:
        yield
    except SystemExit as end:
        if _of_a_signal(end):
            raise
        raise _exited(end, subject) from end


def _of_a_signal(end: SystemExit) -> bool:
    return isinstance(end.code, int) and end.code - 128 in signal.valid_signals()


def _exited(end: SystemExit, subject: str) -> PluginError:
    code = "" if end.code is None else repr(end.code)
    return PluginError(f"{subject} called sys.exit({code}); a plugin must raise instead")


def check_ran(result: Any, subject: str, *, generators: bool = False) -> None:
    """Checks that a call has done its work, and has not only made an object that would.

    Args:
        result: what the call returned; a coroutine is closed.
        subject: what was called, for the message.
        generators: whether a generator is an answer that will be used.

    Raises:
        PluginError: it is a coroutine, an async generator, or a generator that nobody would run.
    """
    if inspect.iscoroutine(result):
        what, word = "coroutine", "def instead of async def"
    elif inspect.isasyncgen(result):
        what, word = "async generator", "def instead of async def, and no yield"
    elif inspect.isgenerator(result) and not generators:
        what, word = "generator", "a function without yield"
    else:
        return
    if not inspect.isasyncgen(result):
        result.close()
    raise PluginError(f"{subject} returned a {what}, so that nothing of it was executed; write {word}")


def check_predicate(option: str, predicate: Any) -> None:
    """Raises InvalidArgument where a predicate is neither callable nor None."""
    if predicate is not None and not callable(predicate):
        raise InvalidArgument(f"`{option}` is {predicate!r}; it must be a callable, or None")


def ask_predicate(
    predicate: Callable[..., Any] | None, eval_result: Any, checkpoint_path: str | None, history: Any
) -> bool:
    """Asks a predicate whether to go on; None always does. What it raises gets a note with its name."""
    if predicate is None:
        return True
    try:
        with no_exit(f"predicate {describe(predicate)}"):
            answer = call_naming(predicate, eval_result, checkpoint_path=checkpoint_path, history=history)
        check_ran(answer, f"predicate {describe(predicate)}")
        return bool(answer)
    except Exception as error:
        error.add_note(f"raised by predicate {describe(predicate)}")
        raise


class Blamed:
    """A context in which an error of a hook or a listener says whose it is.

    It is entered for every hook at every stop of the loop, so it makes nothing before there is an error.

    Args:
        hook: whose method is called.
        method: the method's name.

    Raises:
        PluginError: ``sys.exit()`` was called, as for ``no_exit``.
    """

    __slots__ = ("_hook", "_method")

    def __init__(self, hook: Any, method: str) -> None:
        self._hook, self._method = hook, method

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            return
        subject = f"{self._method}() of {describe(self._hook)}"
        if isinstance(error, SystemExit) and not _of_a_signal(error):
            exited = _exited(error, subject)
            exited.add_note(f"raised in {subject}")
            raise exited from error
        if isinstance(error, Exception):
            error.add_note(f"raised in {subject}")


def call_hook(hook: Any, method: str, *args: Any) -> None:
    """Calls a hook's method where it has it.

    Raises:
        PluginError: it called ``sys.exit()``, or returned a coroutine or a generator.
        Exception: whatever it raised, with a note that names it.
    """
    function = getattr(hook, method, None)
    if callable(function):
        with Blamed(hook, method):
            result = function(*args)
            if result is not None:
                check_ran(result, f"{method}() of {describe(hook)}")
