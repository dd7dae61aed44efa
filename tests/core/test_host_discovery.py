"""Discovery: what is found on the path, in which order, and what damaged metadata does."""

from __future__ import annotations

import random

import pytest

from expcore.errors import PluginLoadError
from expcore.host import PluginHost
from expcore.host.discovery import canonical, discover
from expcore.testing import fake_distribution


def hooks(host: PluginHost) -> dict[str, str]:
    return {c.name: c.dist for c in host.catalogue("hooks") if c.dist != "expcore"}


def test_installed_distributions_are_found_with_name_version_and_target(tmp_path, monkeypatch):
    fake_distribution(tmp_path, "Expcore_My.Hooks", "1.5", {"expcore.hooks": {"mine": "some_mod:Hook"}})
    monkeypatch.syspath_prepend(tmp_path)
    component = PluginHost(environ={}).resolve("hooks", "mine")
    assert (component.dist, component.version, component.target) == (
        "expcore-my-hooks",
        "1.5",
        "some_mod:Hook",
    )


def test_the_built_ins_come_in_through_the_same_door():
    dists = {e.dist.name for e in discover() if e.label == "schedules/train"}
    assert dists == {"expcore"}


def test_groups_of_others_are_not_looked_at(tmp_path, monkeypatch):
    groups = {"pytest11": {"x": "y"}, "expcoreutils.hooks": {"x": "y:z"}, "expcore": {"x": "y:z"}}
    fake_distribution(tmp_path, "other", "1", groups)
    monkeypatch.syspath_prepend(tmp_path)
    assert not [e for e in discover() if e.dist.name == "other"]


def test_of_two_versions_on_the_path_only_the_first_is_seen(tmp_path, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    fake_distribution(old, "twice", "1.0", {"expcore.hooks": {"old": "twice_mod:Old"}})
    fake_distribution(new, "Twice", "2.0", {"expcore.hooks": {"new": "twice_mod:New"}})
    monkeypatch.syspath_prepend(old)
    monkeypatch.syspath_prepend(new)
    host = PluginHost(environ={})
    assert hooks(host) == {"new": "twice"}
    assert host.resolve("hooks", "new").version == "2.0"


def test_the_order_is_sorted_with_the_built_ins_first_whatever_the_path_gives():
    class Point:
        def __init__(self, dist, group, name, value="m:x"):
            self.dist, self.group, self.name, self.value, self.module = dist, group, name, value, "m"

    class Dist:
        def __init__(self, name):
            self.name, self.version = name, "1"

    a, b, ours = Dist("aaa"), Dist("B_b"), Dist("expcore")
    points = [
        Point(dist, group, name)
        for dist in (a, b, ours)
        for group in ("expcore.hooks", "expcore.exporters", "expcore.plugins")
        for name in ("y", "x")
    ]
    expected = [
        f"{dist}:{kind}/{name}"
        for dist in ("expcore", "aaa", "b-b")
        for kind in ("exporters", "hooks", "plugins")
        for name in ("x", "y")
    ]
    for seed in range(5):
        random.Random(seed).shuffle(points)
        assert [e.key for e in discover(points)] == expected


def test_the_same_line_twice_counts_once(tmp_path, monkeypatch):
    info = fake_distribution(tmp_path, "lines", "1", {"expcore.hooks": {"h": "lines_mod:Hook"}})
    (info / "entry_points.txt").write_text("[expcore.hooks]\nh = lines_mod:Hook\nh = lines_mod:Hook\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert PluginHost(environ={}).resolve("hooks", "h").target == "lines_mod:Hook"


@pytest.mark.parametrize("name", ["with space", "a:b", "a/b", "a,b"])
def test_a_name_that_no_token_could_speak_of_is_a_fault(name):
    class Point:
        group, value, module, dist = "expcore.hooks", "m:x", "m", None

    point = Point()
    point.name = name
    (entry,) = discover([point])
    assert "only letters, digits" in str(entry.fault)


def test_an_unreadable_declaration_of_one_distribution_hurts_no_other(tmp_path, monkeypatch, caplog):
    info = fake_distribution(tmp_path, "damaged", "1.0", {"expcore.hooks": {"h": "m:x"}})
    (info / "entry_points.txt").write_text("[expcore.hooks]\nthis line has no equals sign\n")
    fake_distribution(tmp_path, "healthy", "1.0", {"expcore.hooks": {"fine": "m:x"}})
    stale = tmp_path / "stale"
    fake_distribution(stale, "healthy", "0.9", {"expcore.hooks": {"stale": "m:x"}})
    monkeypatch.syspath_prepend(stale)
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    assert hooks(host) == {"fine": "healthy"}
    assert host.resolve("exporters", "best").dist == "expcore"
    (failure,) = host.failures
    assert (failure.dist, failure.version, failure.phase) == ("damaged", "1.0", "declaration")
    assert len([m for m in caplog.messages if "damaged 1.0" in m]) == 1
    assert [r.status for r in host.statuses("plugins") if r.provider == "damaged"] == ["broken"]


def test_a_damaged_distribution_can_be_switched_off(tmp_path, monkeypatch, caplog):
    info = fake_distribution(tmp_path, "damaged", "1.0", {"expcore.hooks": {"h": "m:x"}})
    (info / "entry_points.txt").write_text("[expcore.hooks]\nthis line has no equals sign\n")
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={"EXPCORE_DISABLE": "damaged"})
    assert hooks(host) == {}
    assert host.failures == []
    assert caplog.messages == []


def test_a_damaged_distribution_that_is_no_plugin_of_ours_is_nobodys_business(tmp_path, monkeypatch, caplog):
    info = fake_distribution(tmp_path, "foreign", "1.0", {"other.group": {"h": "m:x"}})
    (info / "entry_points.txt").write_text("[other.group]\nthis line has no equals sign\n")
    (tmp_path / "leftover-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    assert host.resolve("exporters", "best").dist == "expcore"
    assert host.failures == []
    assert caplog.messages == []


def test_a_distribution_without_a_name_is_a_failure_and_the_others_are_there():
    class Nameless:
        name = version = None

    class Point:
        group, name, value, module, dist = "expcore.hooks", "h", "m:x", "m", Nameless()

    host = PluginHost(environ={}, entry_points=[Point()])
    with pytest.raises(PluginLoadError, match="gives no name"):
        host.load("hooks", "h")


def test_versions_are_read_when_they_are_asked_for_and_once():
    read = []

    class Dist:
        name = "d"

        @property
        def version(self):
            read.append("version")
            return "1"

    class Point:
        group, name, value, module, dist = "expcore.hooks", "h", "m:x", "m", Dist()

    (entry,) = discover([Point()])
    assert (entry.key, read) == ("d:hooks/h", [])
    assert (entry.provider, entry.provider, read) == ("d 1", "d 1", ["version"])


def test_nothing_is_read_before_first_need(monkeypatch):
    def forbidden():
        raise AssertionError("discovered")
        yield

    host = PluginHost(environ={}, entry_points=forbidden())
    with pytest.raises(AssertionError, match="discovered"):
        host.catalogue("hooks")


@pytest.mark.parametrize("name", ["A.b_C", "a-B.c", "a__b--c"])
def test_all_spellings_of_a_distribution_are_one(name):
    assert canonical(name) == "a-b-c"


@pytest.mark.parametrize("name", ["npz:v2", "a/b", "a,b", "with space"])
def test_a_faulty_name_is_shown_as_broken_stops_nothing_and_can_be_switched_off(
    name, tmp_path, monkeypatch, caplog
):
    fake_distribution(tmp_path, "oddly-named", "1.0", {"expcore.exporters": {"fine": "json:dumps"}})
    info = fake_distribution(tmp_path, "odd", "1.0", {"expcore.exporters": {name: "json:dumps"}})
    # A ':' delimits nothing in entry_points.txt: only the first '=' does.
    assert f"{name} = " in (info / "entry_points.txt").read_text()
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    rows = [r for r in host.statuses("exporters") if r.provider == "odd"]
    assert [(r.name, r.status) for r in rows] == [(name, "broken")]
    assert [f["entry"] for f in host.snapshot()["failures"]] == [f"exporters/{name}"]
    host.start()
    assert host.load("exporters", "fine").__name__ == "dumps"
    (line,) = caplog.messages
    way_out = line.partition("EXPCORE_DISABLE=")[2].partition(";")[0]
    caplog.clear()
    for token in ("odd", way_out):
        host = PluginHost(environ={"EXPCORE_DISABLE": token})
        assert [r.status for r in host.statuses("exporters") if r.provider == "odd"] == ["blocked"]
        assert host.failures == []
    assert caplog.messages == []


def test_metadata_without_a_version_gives_an_empty_one(tmp_path, monkeypatch):
    info = fake_distribution(tmp_path, "no-version", "1", {"expcore.hooks": {"h": "json:dumps"}})
    (info / "METADATA").write_text("Name: no-version\n")
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    assert host.resolve("hooks", "h").provider == "no-version"
    assert [r.version for r in host.statuses("hooks") if r.name == "h"] == [""]
    assert host.snapshot()["components"]["hooks/h"]["version"] == ""


def test_metadata_without_a_name_is_a_failure_of_that_distribution_only():
    class Missing:
        @property
        def name(self):
            raise KeyError("Name")

    class Point:
        group, name, value, module, dist = "expcore.hooks", "h", "m:x", "m", Missing()

    (entry,) = discover([Point()])
    assert "gives no name" in str(entry.fault)
