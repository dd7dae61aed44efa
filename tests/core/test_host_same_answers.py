"""The same answers whatever order a listing has, whatever the hash seed, however it was installed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import importlib_metadata
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expcore.hookspecs import hookimpl
from expcore.host import PluginHost
from expcore.testing import fake_distribution

OBSERVER = """
import expcore.hookspecs as h
@h.hookimpl{}
def expcore_train_hooks(experiment): return [__name__]
"""

ANSWERS = """
import json, sys
from expcore.errors import ExpcoreError
from expcore.host import PluginHost

def answers():
    host = PluginHost(environ={}, use=["hooks/chosen=two"], disable=["expcore:plugins/default_hooks"])
    resolved = {}
    for kind in ("exporters", "hooks", "schedules"):
        for name in sorted({component.name for component in host.catalogue(kind)}):
            try:
                resolved[f"{kind}/{name}"] = host.resolve(kind, name).provider
            except ExpcoreError as error:
                resolved[f"{kind}/{name}"] = str(error)
    order = [key for key, _ in host.ask("expcore_train_hooks", experiment=None)]
    # Lists, not mappings: their order has to be the same too.
    rows = [[row.kind, row.name, row.provider, row.version, row.status] for row in host.statuses()]
    return [rows, list(resolved.items()), list(host.snapshot()["plugins"]), host.snapshot(), order]
"""

exec(ANSWERS)  # the same program in this process and in others


def world(site):
    """A built-in replaced, a conflict, a choice, a blocked and a broken one, three observers, leftovers."""
    both = {"expcore.exporters": {"rival": "json:dumps"}, "expcore.hooks": {"chosen": "json:dumps"}}
    three = {"expcore.schedules": {"train": "json:dumps"}, "expcore.plugins": {"w": "watch_three"}}
    fake_distribution(site, "One", "1.0", {**both, "expcore.plugins": {"b": "watch_b", "a": "watch_a"}})
    fake_distribution(site, "two", "2.0", both)
    fake_distribution(site, "three", "3.0", three)
    fake_distribution(site, "ruined", "1", {"expcore.hooks": {"r": "no_such_module_here:R"}})
    for version in ("0.9", "0.10", "0.8"):
        fake_distribution(site, "left_over", version, {"expcore.hooks": {f"v{version}": "json:dumps"}})
    for name, options in (("watch_b", ""), ("watch_a", ""), ("watch_three", "(trylast=True)")):
        (site / f"{name}.py").write_text(OBSERVER.format(options))
    return site


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(world(tmp_path / "site"))
    yield tmp_path / "site"
    for name in ("watch_a", "watch_b", "watch_three"):
        sys.modules.pop(name, None)


def test_the_answers_are_the_expected_ones(site):
    rows, resolved, _, shot, order = answers()  # noqa: F821
    resolved = dict(resolved)
    assert resolved["schedules/train"] == "three 3.0"
    assert "one 1.0 (json:dumps), two 2.0 (json:dumps); choose one" in resolved["exporters/rival"]
    assert resolved["hooks/chosen"] == "two 2.0"
    assert resolved["hooks/v0.10"] == "left-over 0.10"
    assert {name for name in resolved if name.startswith("hooks/v")} == {"hooks/v0.10"}
    assert ["hooks", "r", "ruined", "1", "broken"] in rows
    assert shot["blocked"] == ["expcore:plugins/default_hooks"]
    assert order == ["one:plugins/b", "one:plugins/a", "three:plugins/w"]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_in_which_folders_are_listed_changes_nothing(site, seed):
    listdir, expected = os.listdir, answers()  # noqa: F821

    def shuffled(path="."):
        names = sorted(listdir(path))
        random.Random(seed).shuffle(names)
        return names

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "listdir", shuffled)
        importlib_metadata.MetadataPathFinder.invalidate_caches()
        assert answers() == expected  # noqa: F821
    importlib_metadata.MetadataPathFinder.invalidate_caches()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_entry_points_changes_nothing(site, seed):
    class Watch:
        @hookimpl
        def expcore_train_hooks(self, experiment):
            return [self]

    def answers_of(points):
        host = PluginHost(environ={}, entry_points=points, disable=["expcore"])
        host.register(Watch, "mine")
        order = [key for key, _ in host.ask("expcore_train_hooks", experiment=None)]
        return host.statuses(), json.dumps(host.snapshot()), order

    points = list(importlib_metadata.entry_points())
    mixed = random.Random(seed).sample(points, len(points))
    assert answers_of(mixed) == answers_of(points)


def in_new_process(prepare, **environ):
    """The answers of a new process, after some lines of its own."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "PYTHON"))}
    program = f"{prepare}\n{ANSWERS}\nprint(json.dumps(answers()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=own | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_hash_seed_changes_nothing(tmp_path):
    prepare = f"import sys; sys.path.insert(0, {str(world(tmp_path))!r})"
    first, *others = [in_new_process(prepare, PYTHONHASHSEED=seed) for seed in ("0", "1", "4711")]
    assert len(first[0]) > 40
    assert first[-1] == ["one:plugins/b", "one:plugins/a", "three:plugins/w"]
    assert others == [first, first]


def test_an_editable_installation_answers_like_a_plain_one(tmp_path):
    plain, edited, source = tmp_path / "plain", tmp_path / "edited", tmp_path / "source"
    world(plain)
    world(edited)
    source.mkdir()
    for module in edited.glob("*.py"):
        module.rename(source / module.name)
    for info in edited.glob("*.dist-info"):
        direct = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (info / "direct_url.json").write_text(json.dumps(direct))
    (edited / "__editable__.one.pth").write_text(f"{source}\n")
    # What a build leaves in the source tree lies on the path as well, and is stale.
    info = fake_distribution(source, "one", "0.1", {"expcore.hooks": {"stale": "json:dumps"}})
    info.rename(source / "One.egg-info")
    (source / "One.egg-info" / "METADATA").rename(source / "One.egg-info" / "PKG-INFO")
    found = [
        in_new_process(f"import site, sys; site.addsitedir({str(path)!r}); sys.path_importer_cache.clear()")
        for path in (plain, edited)
    ]
    assert found[0][-1] == ["one:plugins/b", "one:plugins/a", "three:plugins/w"]
    assert found[1] == found[0]


# --- one distribution in several places -----------------------------------------------------------------


def hooks(**options):
    found = PluginHost(environ={}, **options).catalogue("hooks")
    return [(c.name, c.provider) for c in found if c.dist != "expcore"]


def test_a_stale_distribution_further_down_the_path_is_neither_listed_nor_imported(tmp_path, monkeypatch):
    boom = {"stale_same_mod": "raise RuntimeError('imported')\n"}
    stale = {"expcore.hooks": {"h": "stale_same_mod:H"}, "expcore.plugins": {"w": "stale_same_mod"}}
    fake_distribution(tmp_path / "old", "my.dist", "9.0", stale, boom)
    fake_distribution(tmp_path / "new", "My_Dist", "1.0", {"expcore.hooks": {"h": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path / "old")
    monkeypatch.syspath_prepend(tmp_path / "new")
    host = PluginHost(environ={}, disable=["expcore"], strict=True)
    host.start()
    assert host.load("hooks", "h") is json.dumps
    assert [(r.kind, r.name, r.version) for r in host.statuses() if r.provider == "my-dist"] == [
        ("hooks", "h", "1.0")
    ]
    assert "stale_same_mod" not in sys.modules


def egg(folder, name, version, hook):
    info = fake_distribution(folder, name, version, {"expcore.hooks": {hook: "json:dumps"}})
    (info / "METADATA").rename(info / "PKG-INFO")
    return info.rename(folder / f"{name}-{version}.egg-info")


@pytest.mark.parametrize("order", [sorted, lambda names: sorted(names, reverse=True)], ids=["up", "down"])
def test_of_several_metadata_in_one_folder_readable_ones_then_dist_info_then_the_newest_count(
    order, tmp_path, monkeypatch
):
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path=".": order(listdir(path)))
    egg(tmp_path, "twice", "9.0", "egg")
    fake_distribution(tmp_path, "twice", "1.9", {"expcore.hooks": {"old": "json:dumps"}})
    fake_distribution(tmp_path, "Twice", "1.10rc1", {"expcore.hooks": {"new": "json:dumps"}})
    (tmp_path / "twice-2.0.dist-info").mkdir()
    fake_distribution(tmp_path, "odd", "not a version", {"expcore.hooks": {"odd": "json:dumps"}})
    fake_distribution(tmp_path, "odd", "0.1", {"expcore.hooks": {"even": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks() == [("even", "odd 0.1"), ("new", "twice 1.10rc1")]
    fake_distribution(tmp_path, "ruin", "1", {})
    (tmp_path / "ruin-1.dist-info" / "entry_points.txt").write_text("[expcore.hooks]\nno equals sign\n")
    monkeypatch.syspath_prepend(tmp_path)  # forgets what was listed
    assert hooks() == [("even", "odd 0.1"), ("new", "twice 1.10rc1")]


def test_an_egg_info_alone_counts(tmp_path, monkeypatch):
    egg(tmp_path, "egg", "1.0", "h")
    monkeypatch.syspath_prepend(tmp_path)
    assert hooks() == [("h", "egg 1.0")]


def test_what_comes_first_on_the_path_counts_also_before_a_folder_of_leftovers(tmp_path, monkeypatch):
    for version in ("2.0", "3.0"):
        fake_distribution(tmp_path / "left", "d", version, {"expcore.hooks": {f"v{version}": "json:dumps"}})
    zipped = zipped_distribution(tmp_path, "D", "1.0", {"expcore.hooks": {"zipped": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path / "left")
    assert hooks() == [("v3.0", "d 3.0")]
    monkeypatch.syspath_prepend(zipped)
    assert hooks() == [("zipped", "d 1.0")]


def zipped_distribution(tmp_path, *distribution):
    fake_distribution(tmp_path / "unzipped", *distribution)
    path = tmp_path / "plugins.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted((tmp_path / "unzipped").rglob("*")):
            archive.write(file, file.relative_to(tmp_path / "unzipped"))
    return path


def test_a_zip_file_on_the_path_is_looked_into_and_imported_from(tmp_path, monkeypatch):
    path = zipped_distribution(
        tmp_path,
        "zipped",
        "1.0",
        {"expcore.hooks": {"h": "zipped_host_mod:H"}},
        {"zipped_host_mod": "H = dict\n"},
    )
    monkeypatch.syspath_prepend(path)
    host = PluginHost(environ={})
    assert [r.status for r in host.statuses("hooks") if r.provider == "zipped"] == ["active"]
    assert host.load("hooks", "h") is dict
    assert Path(sys.modules.pop("zipped_host_mod").__file__).parent == path


@pytest.mark.parametrize("spelling", ["My_Dist", "my-dist", "MY.DIST", "my__dist"])
def test_every_spelling_of_a_distribution_means_the_same(spelling, tmp_path, monkeypatch):
    fake_distribution(tmp_path, spelling, "1", {"expcore.exporters": {"best": "json:dumps"}})
    monkeypatch.syspath_prepend(tmp_path)
    for other in ("My_Dist", "my-dist", "my.dist"):
        assert PluginHost(environ={}).resolve("exporters", f"{other}:best").dist == "my-dist"
        assert PluginHost(environ={}, use=[f"exporters/best={other}"]).resolve("exporters", "best").dist == (
            "my-dist"
        )
        for off in (other, f"{other}:exporter/best"):
            found = PluginHost(environ={}, disable=[off]).resolve("exporters", "best")
            assert found.dist == "expcore"
        assert PluginHost(environ={}, allow=[other]).resolve("exporters", "best").dist == "my-dist"
        PluginHost(environ={}, settings={"require": [other]}).start()
