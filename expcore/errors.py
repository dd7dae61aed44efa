"""The mistakes that can be made, one class each, every one also the built-in a caller would catch.

A message says four things: the subject, its value, the rule it breaks, the next step. ``exit_code`` is
what the command line ends with (docs/design.md section 7).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

EXIT_OK = 0
EXIT_FOUND = 1
EXIT_USAGE = 64
EXIT_CORRUPT = 65
EXIT_UNAVAILABLE = 69
EXIT_SOFTWARE = 70
EXIT_CANNOT_WRITE = 73
EXIT_LOCKED = 75
EXIT_NO_NEWS = 124
EXIT_PEER_LOST = 138


class ExpcoreError(Exception):
    """Base of every error that expcore raises on purpose."""

    exit_code: int = EXIT_USAGE


class InvalidArgument(ExpcoreError, ValueError):
    """An argument has a value that its rule does not allow."""


class InvalidType(ExpcoreError, TypeError):
    """An argument is of a type that cannot be used."""


class InvalidHook(InvalidType):
    """A hook has none of a hook's methods, or the estimator cannot take it."""


class UnknownOption(ExpcoreError, TypeError):
    """A schedule or component was given an option that it does not have."""


class UnknownComponent(ExpcoreError, LookupError, ValueError):
    """No installed plugin provides a component of that kind and name."""


class ComponentConflict(ExpcoreError, LookupError):
    """Several third parties provide one name, and nothing says which to use."""


class ConfigError(ExpcoreError, ValueError):
    """A configuration has an unknown key, a wrong value or cannot be read."""


class ClusterError(ExpcoreError, ValueError):
    """TF_CONFIG or a cluster description breaks a rule."""


class InvalidInput(ExpcoreError, ValueError):
    """An input function returned nothing, or something that is not input data."""


class NotCompiled(ExpcoreError, ValueError):
    """A Keras model has to be compiled before an estimator can use it."""


class UnknownMetric(ExpcoreError, LookupError, ValueError):
    """A metric is not among those that the evaluation gave."""


class NotTrained(ExpcoreError, ValueError):
    """There is no checkpoint yet to evaluate, predict with or export."""


class NotCopyable(ExpcoreError, TypeError):
    """An estimator cannot be copied into another model directory."""


class ModelMismatch(ExpcoreError, ValueError):
    """A checkpoint was written by a model of another structure."""


class CheckpointCorrupt(ExpcoreError, RuntimeError):
    """A checkpoint cannot be read: truncated, damaged, or parts of it are gone."""

    exit_code = EXIT_CORRUPT


class PluginLoadError(ExpcoreError, ImportError):
    """An installed plugin could not be imported; ``__cause__`` says why."""

    exit_code = EXIT_SOFTWARE


class PluginError(ExpcoreError, RuntimeError):
    """A plugin broke its contract, or observers failed at the end of a run."""

    exit_code = EXIT_SOFTWARE


class ExportFailed(ExpcoreError, RuntimeError):
    """One or more exporters failed; ``__cause__`` is the error, or a group of them.

    The exit code is the first error's where all are expcore's own, such as a metric that is not there.
    """

    exit_code = EXIT_SOFTWARE


class NanLoss(ExpcoreError, RuntimeError):
    """The training loss became NaN or infinite."""

    exit_code = EXIT_SOFTWARE


class CannotWrite(ExpcoreError, OSError):
    """A directory or file of the run cannot be written."""

    exit_code = EXIT_CANNOT_WRITE


class Locked(ExpcoreError, RuntimeError):
    """Another trainer, or another launcher, is at work in the same model directory."""

    exit_code = EXIT_LOCKED


class ServerUnavailable(ExpcoreError, RuntimeError):
    """A server could not be started: refused by rule, or its port is taken."""

    exit_code = EXIT_UNAVAILABLE


class PeerLost(ExpcoreError, RuntimeError):
    """Another process of the cluster is gone while this one needs it; to be restarted with all others."""

    exit_code = EXIT_PEER_LOST


class NoNews(ExpcoreError, TimeoutError):
    """A schedule waited ``timeout_secs`` without anything new.

    Raised by a schedule to end; ``Experiment.run`` records it and returns ``result``.
    """

    exit_code = EXIT_NO_NEWS

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class StoppedBySignal(SystemExit):
    """SIGINT or SIGTERM ended the run after the state was saved.

    A ``SystemExit`` with code 128 + signal number, so that a plain script ends with it and no traceback.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum


def nearest(word: str, possible: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"`` for the closest possible word, or an empty string."""
    found = difflib.get_close_matches(word, list(possible), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def listing(words: Sequence[str]) -> str:
    """Returns the words in quotes, separated by commas, or ``"none"``."""
    return ", ".join(repr(w) for w in words) if words else "none"


def one_line(error: BaseException) -> str:
    """Returns ``Type: message`` of an error on a single line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
