"""Publishing by one rename, versions, retention; the exporter around a policy."""

from __future__ import annotations

import errno
import logging
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from expcore.calling import call_naming, describe, names
from expcore.checks import check_name as check_name
from expcore.clock import RealClock
from expcore.errors import CannotWrite, ExpcoreError, InvalidArgument, InvalidType
from expcore.temporary import check_written, sweep, sync, sync_tree, temporary_directory
from expcore.types import Clock, Exporter, Format, History, Metrics

_LOG = logging.getLogger(__name__)

_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")  # what fits the 64 bits that servers read versions into
_NAME_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM}


def check_keep(keep: int | None, subject: str) -> int | None:
    """Returns how many versions to keep; InvalidArgument unless it is an int > 0 or None (all)."""
    if keep is None or (isinstance(keep, int) and not isinstance(keep, bool) and keep > 0):
        return keep
    raise InvalidArgument(f"{subject}: keep is {keep!r}; it must be an int > 0, or None to keep all versions")


def versions(base: str) -> list[int]:
    """Returns the published versions below ``base``, oldest first; none where it does not exist."""
    try:
        with os.scandir(base) as entries:
            return sorted(int(e.name) for e in entries if _VERSION.fullmatch(e.name) and e.is_dir())
    except FileNotFoundError:
        return []


def publish(
    base: str,
    write: Callable[[str], object],
    *,
    clock: Clock,
    keep: int | None = None,
    recorded: Iterable[int] = (),
) -> str:
    """Publishes what ``write`` writes as the next version below ``base``, complete or not at all.

    The version is an integer: the time in seconds since the epoch, or one more than the newest version
    where that is greater, so versions grow even if the clock goes back. What dead processes of this
    machine left behind is swept; of other machines, what is older than a day.

    Args:
        base: the directory of the versions; made if need be.
        write: fills the empty directory whose path it is given. If it raises, that directory is removed
            and nothing else has changed.
        clock: gives the version.
        keep: how many of the ``recorded`` versions and the new one to keep, the newest ones; None: all.
        recorded: versions that may be deleted because this exporter is known to have published them.
            Anything else below ``base`` stays, and so does the newest version.

    Returns:
        The path of the new version.

    Raises:
        CannotWrite: the file system refuses: full, read-only, no permission, ``base`` a symbolic link.
        PluginError: ``write`` wrote no file, or a link that leads out of its directory.
        InvalidArgument: ``keep`` is neither None nor an int > 0.
    """
    check_keep(keep, f"export to {base}")
    with ExitStack() as stack:
        with _as_cannot_write(base):
            _make_base(base)
            sweep(base, clock)
            directory = stack.enter_context(temporary_directory(base))
        with _as_cannot_write(base, written=directory):
            write(directory)
        with _as_cannot_write(base):
            check_written(directory, f"export to {base}")
            sync_tree(directory)
            version = _place(directory, base, clock)
    if keep is not None:
        _retain(base, {*recorded, version}, keep)
    return os.path.join(base, str(version))


@contextmanager
def _as_cannot_write(base: str, written: str | None = None) -> Iterator[None]:
    """Turns the file system's refusals into CannotWrite; of foreign code only those that are clearly such."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ExpcoreError) or (written and not _refused(error, written)):
            raise
        where = error.filename if isinstance(error.filename, str) else base
        raise CannotWrite(
            f"export to {base}: cannot write {where}: {error.strerror or error}; "
            "make room or set permissions, then run again"
        ) from error


def _refused(error: OSError, directory: str) -> bool:
    """Whether the disk is at fault; a file elsewhere that could not be read or found is not such a case."""
    inside = str(error.filename or directory).startswith(directory)
    return error.errno in _DISK or (error.errno in _DENIED and inside)


def _make_base(base: str) -> None:
    if os.path.islink(base):
        raise CannotWrite(
            f"export to {base}: it is a symbolic link, and exports are never written or deleted through one; "
            "replace it by a directory"
        )
    os.makedirs(base, exist_ok=True)


def _place(directory: str, base: str, clock: Clock) -> int:
    """Gives the directory the next free version by one rename."""
    version = max(max(versions(base), default=0) + 1, int(clock.time()))
    while True:
        try:
            os.rename(directory, os.path.join(base, str(version)))
        except OSError as error:
            if error.errno not in _NAME_TAKEN:
                raise
            version += 1
        else:
            sync(base)
            return version


def _retain(base: str, deletable: set[int], keep: int) -> None:
    """Deletes all but the newest ``keep`` >= 1 of the deletable versions, so never the newest of all."""
    for version in [v for v in versions(base) if v in deletable][:-keep]:
        path = os.path.join(base, str(version))
        if os.path.islink(path):
            continue
        try:
            with temporary_directory(base) as trash:
                os.rename(path, trash)  # a half-deleted version must not be seen either
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOG.warning("old version %s stays: %s", path, error)


def check_format(value: Any, subject: str) -> Format:
    """Returns a format.

    Raises:
        InvalidType: it is a class instead of an object, an exporter or a policy, or has no ``write``.
    """
    if isinstance(value, type):
        raise InvalidType(
            f"{subject}: format {describe(value)} is a class; give an object of it, e.g. with ()"
        )
    if callable(getattr(value, "write", None)):
        return value  # type: ignore[no-any-return]
    if callable(getattr(value, "export", None)):
        raise InvalidType(
            f"{subject}: {describe(value)} is an exporter or policy, which publishes by itself; "
            "a format is needed here, something with write(estimator, directory); give the format it wraps"
        )
    raise InvalidType(
        f"{subject}: format {value!r} has no method write(estimator, directory, checkpoint_path=None, "
        "eval_result=None); give an object that has, such as a SavedModel()"
    )


class Policy(ABC):
    """An exporter that asks itself whether to export and has a format write; policies derive from it.

    A policy keeps no state: ``wants`` decides from the result in hand and the log, so a restart and a
    second evaluator decide alike. Where no log is given (``export`` called outside an experiment) it
    counts as empty, and no old version is deleted.

    Args:
        format: writes the artefact (``expcore.types.Format``).
        name: the exporter's name and its directory below ``export/``; None: the class's ``default_name``.
        keep: how many versions to keep, > 0; None: all. Only versions that the log says were published
            under this name are deleted, after a new one is published.

    Attributes:
        default_name: the name where none is given.

    Raises:
        InvalidType: ``format`` is not a format.
        InvalidArgument: ``name`` or ``keep`` is not allowed.
    """

    default_name: ClassVar[str]

    def __init__(self, format: Format, name: str | None = None, keep: int | None = 5) -> None:  # noqa: A002
        self.name = check_name(self.default_name if name is None else name)
        self.subject = f"exporter {self.name!r}"
        self.keep = check_keep(keep, self.subject)
        self.format = check_format(format, self.subject)

    @abstractmethod
    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Whether to export now.

        Args:
            eval_result: the metrics of the checkpoint in hand.
            history: the log, with ``history.checkpoint`` in hand; None where there is none.
            final: whether this is the experiment's last export.
        """

    def already_exported(self, history: History | None) -> bool:
        """Whether the log says that the checkpoint in hand was exported under this name."""
        if history is None or history.checkpoint is None:
            return False
        return history.exported(self.name, history.checkpoint.id)

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
        history: History | None = None,
        clock: Clock | None = None,
    ) -> str | None:
        """Publishes the checkpoint below ``export_path`` if the policy wants it.

        Args:
            estimator: what the format takes the model from.
            export_path: the directory of this exporter's versions, ``export/<name>``.
            checkpoint_path: the checkpoint to export; None: the estimator's latest.
            eval_result: its metrics.
            is_the_final_export: whether it is the last export of the experiment.
            history: the log; None: as if it were empty.
            clock: gives the version; None: the real one.

        Returns:
            The path of the new version; None where the policy did not want it.

        Raises:
            CannotWrite, PluginError: as ``publish`` says; what the format raises goes through.
        """
        if not self.wants(eval_result, history, is_the_final_export):
            return None

        def write(directory: str) -> None:
            offered = {"checkpoint_path": checkpoint_path, "eval_result": eval_result}
            call_naming(self.format.write, estimator, directory, **offered)

        return publish(
            export_path,
            write,
            clock=clock or RealClock(),
            keep=self.keep,
            recorded=self._published(export_path, history),
        )

    def _published(self, export_path: str, history: History | None) -> list[int]:
        """Versions here that may be deleted, by the log; only the path's end counts, as places move."""
        if history is None or self.keep is None:
            return []
        found = []
        here = tuple(
            map(str, versions(export_path))
        )  # of a long run's thousands of exports few are still here
        for export in history.exports:
            path = (export.path or "").rstrip(os.sep)
            if export.exporter != self.name or not path.endswith(here):
                continue
            parent, version = os.path.split(os.path.normpath(path))
            same_place = os.path.basename(parent) == os.path.basename(os.path.normpath(export_path))
            if same_place and _VERSION.fullmatch(version):
                found.append(int(version))
        return found


@dataclass(frozen=True)
class ExportStrategy:
    """A name and a function that exports: the form of 2017.

    Args:
        name: the directory below ``export/``.
        export_fn: called as ``export_fn(estimator, export_path)`` with those of ``checkpoint_path``,
            ``eval_result``, ``history``, ``is_the_final_export`` and ``strip_default_attrs`` that it names.
            It publishes by itself and returns the path of what it wrote, or None.
        strip_default_attrs: passed on to a function that names it.

    Raises:
        InvalidArgument: the name is not allowed.
        InvalidType: ``export_fn`` cannot be called.
    """

    name: str
    export_fn: Callable[..., Any]
    strip_default_attrs: bool | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "export strategy")
        if not callable(self.export_fn):
            raise InvalidType(
                f"export strategy {self.name!r}: export_fn is {self.export_fn!r}; "
                "give a function (estimator, export_path) -> path"
            )

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
        is_the_final_export: bool = False,
        history: History | None = None,
    ) -> Any:
        """Calls the function and returns what it returns.

        Raises:
            InvalidArgument: called outside an experiment (without ``history``) with an ``eval_result`` but
                no ``checkpoint_path``, where the function asks for the result: whose it is would be unsaid.
        """
        told = eval_result is not None and names(self.export_fn, "eval_result")
        if told and not checkpoint_path and history is None:
            raise InvalidArgument(
                f"export strategy {self.name!r}: eval_result was given without the checkpoint it belongs to; "
                "pass checkpoint_path="
            )
        return call_naming(
            self.export_fn,
            estimator,
            export_path,
            checkpoint_path=checkpoint_path,
            eval_result=eval_result,
            history=history,
            is_the_final_export=is_the_final_export,
            strip_default_attrs=self.strip_default_attrs,
        )


def as_exporter(value: Any, wrap: Callable[[Any], Any] | None = None) -> Exporter:
    """Returns the exporter that a value given as an export strategy stands for.

    Args:
        value: an exporter (``name`` and ``export``), or a format.
        wrap: makes an exporter of a bare format, such as the policy "latest"; None: formats are refused.

    Raises:
        InvalidArgument: it is neither, saying what is missing, or its name is not allowed.
    """
    if not isinstance(value, type):
        if callable(getattr(value, "export", None)) and hasattr(value, "name"):
            check_name(value.name, f"export strategy {describe(value)}")
            return value  # type: ignore[no-any-return]
        if wrap is not None and callable(getattr(value, "write", None)):
            return as_exporter(wrap(value))
    wanted = {"name": "a name", "export": "export(estimator, export_path, ...)"}
    missing = "an object instead of a class" if isinstance(value, type) else ""
    missing = missing or " and ".join(text for part, text in wanted.items() if not hasattr(value, part))
    raise InvalidArgument(
        f"export strategy {value!r} lacks {missing}; give a format with write(estimator, directory), "
        "a policy around one, an ExportStrategy(name, export_fn) or another exporter"
    )
