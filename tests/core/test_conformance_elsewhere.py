"""What is done to files outside of a folder is seen, and what is gone again or a cache is none of it."""

from __future__ import annotations

import os
import shutil

import pytest

from expcore.conformance.elsewhere import Elsewhere


@pytest.fixture(name="outside")
def _outside(tmp_path):
    place = tmp_path / "outside"
    place.mkdir()
    (place / "old").write_text("old")
    return place


def found(tmp_path, act):
    inside = tmp_path / "inside"
    inside.mkdir()
    elsewhere = Elsewhere(inside)
    with elsewhere.watching():
        act(inside)
    return elsewhere.found


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda place: (place / "new").write_text("new"), "new' was written"),
        (lambda place: (place / "folder").mkdir(), "folder' was written"),
        (lambda place: os.symlink("old", place / "link"), "link' was written"),
        (lambda place: os.link(place / "old", place / "hard"), "hard' was written"),
        (lambda place: (place / "old").open("a").close(), "old' was changed"),
        (lambda place: os.truncate(place / "old", 1), "old' was changed"),
        (lambda place: (place / "old").unlink(), "old' was removed"),
        (lambda place: (place / "old").rename(place / "renamed"), "old' was removed"),
    ],
)
def test_a_change_outside_is_told(tmp_path, outside, act, told):
    assert told in found(tmp_path, lambda _: act(outside))


def passing(place):
    (place / "passing").mkdir()
    (place / "passing" / "file").write_text("")
    shutil.rmtree(place / "passing")


def cached(place):
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "module.pyc").write_text("")


@pytest.mark.parametrize("act", [lambda place: (place / "old").read_text(), passing, cached])
def test_what_leaves_nothing_and_caches_do_not_count(tmp_path, outside, act):
    assert found(tmp_path, lambda _: act(outside)) == ""


def test_devices_and_what_is_inside_do_not_count(tmp_path):
    def act(inside):
        (inside / "new").write_text("new")
        with open(os.devnull, "w"):
            pass

    assert found(tmp_path, act) == ""
