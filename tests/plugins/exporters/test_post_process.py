"""The format "post_process": what is published is what the function makes of the base."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from expcore.errors import CannotWrite, InvalidType, PluginError
from expcore.testing.clock import VirtualClock
from expcore_plugins.exporters.final import Final
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.post_process import PostProcess


class Text:
    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        Path(directory, "base").write_text(f"{estimator} {checkpoint_path} {eval_result}")


def upper(base_dir, directory):
    Path(directory, "upper").write_text(Path(base_dir, "base").read_text().upper())


def export(post_export_fn, base, policy=Latest, form=None):
    given = {"checkpoint_path": "ckpt-1", "eval_result": {"a": 1}, "is_the_final_export": True}
    form = PostProcess(form or Text(), post_export_fn)
    return policy(form).export("est", str(base), clock=VirtualClock(7), **given)


@pytest.mark.parametrize("policy", [Latest, Final])
def test_only_what_the_function_wrote_is_published_under_any_policy(tmp_path, policy):
    path = export(upper, tmp_path, policy)
    assert os.listdir(path) == ["upper"]
    assert Path(path, "upper").read_text() == "EST CKPT-1 {'A': 1}"
    assert os.listdir(tmp_path) == ["7"]


def test_the_base_is_written_outside_of_the_place_that_is_published_but_on_the_same_file_system(tmp_path):
    seen = []

    def move(base_dir, directory):
        seen.append((base_dir, os.listdir(directory)))
        os.rename(os.path.join(base_dir, "base"), os.path.join(directory, "moved"))

    path = export(move, tmp_path)
    base_dir, before = seen[0]
    assert before == []
    assert not base_dir.startswith(path)
    assert os.path.dirname(base_dir) == str(tmp_path)
    assert not os.path.exists(base_dir)
    assert os.listdir(path) == ["moved"]


def test_post_processing_can_be_nested(tmp_path):
    def twice(base_dir, directory):
        text = Path(base_dir, "upper").read_text()
        Path(directory, "twice").write_text(text + text)

    path = export(twice, tmp_path, form=PostProcess(Text(), upper))
    assert Path(path, "twice").read_text() == "EST CKPT-1 {'A': 1}" * 2
    assert os.listdir(tmp_path) == ["7"]


def test_a_function_that_writes_nothing_is_named_and_nothing_is_published(tmp_path):
    def idle(base_dir, directory):
        return base_dir

    with pytest.raises(PluginError, match="idle: no file was written"):
        export(idle, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_format_that_writes_nothing_is_named_before_the_function_is_called(tmp_path):
    class Idle:
        def write(self, estimator, directory):
            return None

    with pytest.raises(PluginError, match="Idle: no file was written"):
        export(lambda base_dir, directory: pytest.fail("called"), tmp_path, form=Idle())


def test_what_the_function_raises_goes_through_and_leaves_nothing(tmp_path):
    error = RuntimeError("no tokens")

    def fail(base_dir, directory):
        upper(base_dir, directory)
        raise error

    with pytest.raises(RuntimeError) as caught:
        export(fail, tmp_path)
    assert caught.value is error
    assert os.listdir(tmp_path) == []


def test_a_link_from_the_result_into_the_base_is_refused(tmp_path):
    def link(base_dir, directory):
        os.symlink(os.path.join(base_dir, "base"), os.path.join(directory, "link"))

    with pytest.raises(PluginError, match="leads out"):
        export(link, tmp_path)


def test_a_full_disk_is_cannot_write_as_with_any_format(tmp_path):
    def full(base_dir, directory):
        raise OSError(28, "No space left on device")

    with pytest.raises(CannotWrite, match="No space left"):
        export(full, tmp_path)


def test_something_that_is_no_format_or_no_function_is_refused_at_construction():
    with pytest.raises(InvalidType, match=r"post_process.*exporter or policy"):
        PostProcess(Latest(Text()), upper)
    with pytest.raises(InvalidType, match="post_export_fn is 'upper'"):
        PostProcess(Text(), "upper")
