"""The format "post_process": makes another artefact of what a format wrote."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from expcore.calling import call_naming, describe
from expcore.errors import InvalidType
from expcore.publish import check_format
from expcore.temporary import check_written, temporary_directory
from expcore.types import Format, Metrics


class PostProcess:
    """Has a format write into a temporary place, and a function make of that what is published.

    Being a format it works under every policy. The temporary place is on the same file system, so files
    can be moved instead of copied; what is left there is thrown away.

    Args:
        format: writes the base.
        post_export_fn: called as ``post_export_fn(base_dir, directory)``; fills the empty ``directory``.

    Raises:
        InvalidType: ``format`` is not a format, or ``post_export_fn`` cannot be called.
    """

    def __init__(self, format: Format, post_export_fn: Callable[[str, str], object]) -> None:  # noqa: A002
        self.format = check_format(format, "format post_process")
        if not callable(post_export_fn):
            raise InvalidType(
                f"format post_process: post_export_fn is {post_export_fn!r}; "
                "give a function (base_dir, directory) that fills directory"
            )
        self.post_export_fn = post_export_fn

    def write(
        self,
        estimator: Any,
        directory: str,
        checkpoint_path: str | None = None,
        eval_result: Metrics | None = None,
    ) -> None:
        """Fills ``directory`` with what the function makes of the format's artefact.

        Raises:
            PluginError: the format or the function wrote no file, or a link that leads out.
        """
        with temporary_directory(os.path.dirname(os.path.abspath(directory))) as base:
            offered = {"checkpoint_path": checkpoint_path, "eval_result": eval_result}
            call_naming(self.format.write, estimator, base, **offered)
            check_written(base, f"format {describe(self.format)}")
            self.post_export_fn(base, directory)
        check_written(directory, f"post_export_fn {describe(self.post_export_fn)}")
