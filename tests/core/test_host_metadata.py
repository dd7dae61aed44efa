"""Metadata folders: half removed, damaged or misspelt ones, and which of several counts, in any order."""

from __future__ import annotations

import os
import zipfile

import importlib_metadata
import pytest

from expcore.host import PluginHost
from expcore.host.metadata import counting, installed
from expcore.testing import fake_distribution

GROUPS = "'expcore.hooks', 'expcore.predicates', 'expcore.plugins', 'expcore.conformance'"


def hooks(host=None):
    found = (host or PluginHost(environ={})).catalogue("hooks")
    return {c.name: c.provider for c in found if c.dist != "expcore"}


def half_removed(root, name, version, *args):
    info = fake_distribution(root, name, version, *args)
    return info.rename(root / f"~{info.name[1:]}")


@pytest.fixture(params=[sorted, lambda names: sorted(names, reverse=True)], ids=["sorted", "reversed"])
def listed(request, monkeypatch):
    """Folders are listed in one order, and in the other."""
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path=".": request.param(listdir(path)))
    importlib_metadata.MetadataPathFinder.invalidate_caches()
    yield
    importlib_metadata.MetadataPathFinder.invalidate_caches()


@pytest.mark.parametrize("left", ["1.0", "3.0"])
def test_what_pip_left_half_removed_never_counts_and_is_told_in_one_line(
    left, listed, tmp_path, monkeypatch, caplog
):
    folder = half_removed(
        tmp_path, "expcore-x", left, {"expcore.hooks": {"h": "json:dumps", "old": "json:x"}}
    )
    fake_distribution(tmp_path, "expcore-x", "2.0", {"expcore.hooks": {"h": "json:loads"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    assert hooks(host) == {"h": "expcore-x 2.0"}
    assert host.resolve("hooks", "h").target == "json:loads"
    found = [(each.version, each.half_removed) for each in installed() if each.name == "expcore-x"]
    assert found == [("2.0", False), (left, True)]
    (line,) = caplog.messages
    assert line.startswith(f"{folder}: left behind where pip was stopped while it removed expcore-x;")
    assert line.endswith("remove the folder")


def test_half_removed_alone_is_not_there_and_others_are_nobodys_business(tmp_path, monkeypatch, caplog):
    half_removed(tmp_path, "umpy", "1.0", {"console_scripts": {"h": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks() == {}
    assert caplog.messages == []
    half_removed(tmp_path, "expcore-x", "1.0", {"expcore.hooks": {"h": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks() == {}
    assert len(caplog.messages) == 1


def test_of_two_folders_that_metadata_give_one_name_the_newest_counts(listed, tmp_path, monkeypatch):
    for folder, version in (("aa", "1.0"), ("zz", "3.0"), ("mm", "2.0")):
        info = fake_distribution(tmp_path, folder, version, {"expcore.hooks": {f"v{version}": "json:dumps"}})
        (info / "METADATA").write_text(f"Name: Expcore_X\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks() == {"v3.0": "expcore-x 3.0"}
    assert {f.name: f.version for f in counting(installed())}["expcore-x"] == "3.0"


def test_in_one_place_readable_dist_info_and_newest_come_first_and_places_in_the_order_of_the_path(
    listed, tmp_path, monkeypatch
):
    first, second = tmp_path / "first", tmp_path / "second"
    for root, version in ((first, "9.0"), (first, "0.9"), (first, "0.10"), (second, "5.0")):
        fake_distribution(root, "d", version, {"expcore.hooks": {"h": "json:dumps"}})
    (first / "d-9.0.dist-info" / "METADATA").unlink()
    monkeypatch.syspath_prepend(second)
    monkeypatch.syspath_prepend(first)
    found = [each for each in installed() if each.name == "d"]
    assert [each.version for each in found] == ["0.10", "0.9", "5.0", "9.0"]
    assert [each.place for each in found] == [str(p) for p in (first, first, second, first)]
    assert next(each for each in counting(installed()) if each.name == "d").version == "0.10"


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda file: file.unlink(), "its METADATA is missing or empty"),
        (lambda file: file.write_text(""), "its METADATA is missing or empty"),
        (lambda file: file.write_text("Summary: nothing\n"), "its METADATA gives no name"),
        (lambda file: file.write_bytes(b"Name: caf\xe9\n"), "its METADATA is not UTF-8"),
    ],
    ids=["missing", "empty", "nameless", "latin-1"],
)
def test_without_readable_metadata_it_goes_by_its_folder_and_is_broken(
    damage, why, tmp_path, monkeypatch, caplog
):
    info = fake_distribution(tmp_path, "expcore-nometa", "1.0", {"expcore.hooks": {"h": "json:dumps"}})
    damage(info / "METADATA")
    other = fake_distribution(tmp_path, "ruined", "1", {})
    (other / "entry_points.txt").write_text("[other]\nno equals sign\n")
    fake_distribution(tmp_path, "code", "1", {"expcore.hooks": {"fine": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    rows = [(r.provider, r.version, r.status) for r in host.statuses("hooks") if r.provider != "expcore"]
    assert rows == [("code", "1", "active"), ("expcore-nometa", "1.0", "broken")]
    (failure,) = host.failures
    assert (failure.dist, failure.version, failure.phase) == ("expcore-nometa", "1.0", "declaration")
    (line,) = caplog.messages
    assert line.startswith("hooks/h (expcore-nometa 1.0): declaration failed:")
    assert f"{info}: {why}; install expcore-nometa anew, or remove {info}, or skip it with " in line
    caplog.clear()
    assert PluginHost(environ={"EXPCORE_DISABLE": "expcore-nometa"}).failures == []
    assert caplog.messages == []


def test_the_readable_one_counts_for_the_host_and_for_who_asks_what_hides_what(tmp_path, monkeypatch):
    damaged, whole = tmp_path / "damaged", tmp_path / "whole"
    info = fake_distribution(damaged, "d", "1.0", {"expcore.hooks": {"old": "json:dumps"}})
    (info / "METADATA").unlink()
    fake_distribution(whole, "d", "2.0", {"expcore.hooks": {"new": "json:dumps"}})
    monkeypatch.syspath_prepend(whole)
    monkeypatch.syspath_prepend(damaged)
    assert hooks() == {"new": "d 2.0"}
    assert [(f.version, f.fault is None) for f in installed() if f.name == "d"] == [
        ("2.0", True),
        ("1.0", False),
    ]
    assert {f.name: f.version for f in counting(installed())}["d"] == "2.0"


TEXT = "[expcore.hooks]\nh = json:dumps\n"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (TEXT.encode("utf-16"), "UTF-16, or begins with a byte order mark"),
        (TEXT.encode("utf-16-be"), "UTF-16, or begins with a byte order mark"),
        (TEXT.encode("utf-8-sig"), "UTF-16, or begins with a byte order mark"),
        (TEXT.encode() + b"caf\xe9 = json:dumps\n", "it is not UTF-8 (byte "),
        (b"[expcore.hooks\nh = json:dumps\n", "'[expcore.hooks' has no closing ']'"),
        (TEXT.encode() + b"[expcore.exporters\n", "'[expcore.exporters' has no closing ']'"),
        (TEXT.encode() + b"no equals sign\n", ""),
    ],
)
def test_declarations_that_cannot_be_read_are_told_in_one_line(raw, why, tmp_path, monkeypatch, caplog):
    info = fake_distribution(tmp_path, "expcore-x", "1.0", {})
    (info / "entry_points.txt").write_bytes(raw)
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    host.start()
    (line,) = caplog.messages
    assert line.startswith("plugins/entry_points.txt (expcore-x 1.0): declaration failed: ")
    assert why in line
    assert [(r.name, r.status) for r in host.statuses("plugins") if r.provider == "expcore-x"] == [
        ("entry_points.txt", "broken")
    ]


@pytest.mark.parametrize(
    ("group", "near"),
    [
        ("expcore.exporter", "; did you mean 'expcore.exporters'?"),
        ("expcore.hook", "; did you mean 'expcore.hooks'?"),
        ("expcore.observers", "; did you mean 'expcore.plugins'?"),
        ("Expcore.Hooks", "; did you mean 'expcore.hooks'?"),
        (" expcore.hooks ", "; did you mean 'expcore.hooks'?"),
    ],
)
def test_a_group_that_does_not_exist_is_told_and_the_rest_of_the_distribution_works(
    group, near, tmp_path, monkeypatch, caplog
):
    groups = {group: {"x": "json:dumps"}, "expcore.hooks": {"h": "json:dumps"}, "other": {"y": "z"}}
    fake_distribution(tmp_path, "expcore-x", "1.0", {**groups, "expcore.conformance": {"hooks.h": "json:x"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    assert hooks(host) == {"h": "expcore-x 1.0"}
    (line,) = caplog.messages
    assert line.startswith(f"plugins/{group.strip()} (expcore-x 1.0): declaration failed: ")
    assert f"there is no group {group!r}{near}; groups are " in line
    assert GROUPS in line
    assert [(f.dist, f.entry) for f in host.failures] == [("expcore-x", f"plugins/{group.strip()}")]
    off = line.partition("EXPCORE_DISABLE=")[2].partition(";")[0]
    caplog.clear()
    assert hooks(PluginHost(environ={"EXPCORE_DISABLE": off})) == {"h": "expcore-x 1.0"}
    assert caplog.messages == []


def test_metadata_of_those_who_declare_nothing_for_expcore_are_not_opened(tmp_path, monkeypatch):
    info = fake_distribution(tmp_path, "other", "1.0", {"console_scripts": {"x": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    read = []
    parsed = importlib_metadata.PathDistribution.read_text

    def noted(self, name):
        read.append(os.path.join(str(self._path), str(name)))
        return parsed(self, name)

    monkeypatch.setattr(importlib_metadata.PathDistribution, "read_text", noted)
    PluginHost(environ={}).statuses()
    assert [path for path in read if path.startswith(str(info))] == []
    assert [path for path in read if path.endswith("METADATA")]  # the built-ins' own


def test_a_distribution_of_a_finder_without_folders_counts(tmp_path):
    class Elsewhere(importlib_metadata.Distribution):
        def __init__(self, metadata):
            self._texts = {"METADATA": metadata, "entry_points.txt": TEXT}

        def read_text(self, filename):
            return self._texts.get(str(filename))

        def locate_file(self, path):
            raise NotImplementedError

    texts = ("Name: Else_Where\nVersion: 1\n", "Summary: x\n")
    nameless, whole = installed([Elsewhere(text) for text in texts])
    assert (whole.name, whole.version, whole.concerns_us) == ("else-where", "1", True)
    assert (nameless.name, nameless.version) == ("", "")
    assert "Elsewhere: its METADATA gives no name" in str(nameless.fault)


def test_an_egg_is_called_after_its_folder(tmp_path, monkeypatch):
    egg = tmp_path / "Some_Egg-1.0-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "entry_points.txt").write_text(TEXT)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("zipped-2.0.dist-info/entry_points.txt", TEXT)
    monkeypatch.syspath_prepend(egg)
    monkeypatch.syspath_prepend(tmp_path / "z.zip")
    found = {f.name: (f.version, f.fault is None) for f in installed() if f.name in ("some-egg", "zipped")}
    assert found == {"some-egg": ("1.0", False), "zipped": ("2.0", False)}
