"""Names: which plugin they stand for, loading it, making something of it."""

from __future__ import annotations

import json
import logging
import sys
import types

import pytest

from expcore.errors import (
    ComponentConflict,
    InvalidArgument,
    InvalidType,
    PluginLoadError,
    UnknownComponent,
    UnknownOption,
)
from expcore.host import PluginHost, default_host, set_default_host
from expcore.testing import PluginSandbox, fake_distribution


class BuiltIn:
    pass


class Theirs:
    pass


class Others:
    pass


def sandbox(**options):
    """A sandbox in which expcore provides 'best'."""
    box = PluginSandbox(**options)
    return box.add("exporters", "best", BuiltIn, dist="expcore", version="0.1.0")


def test_a_built_in_is_found_by_its_name():
    host = sandbox().host
    component = host.resolve("exporters", "best")
    assert (component.kind, component.name, component.dist, component.version) == (
        "exporters",
        "best",
        "expcore",
        "0.1.0",
    )
    assert host.load("exporters", "best") is BuiltIn
    assert host.explain("exporters", "best").rule == "built-in"


def test_the_kind_may_be_given_in_the_singular():
    assert sandbox().host.load("exporter", "best") is BuiltIn


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(InvalidArgument, match=r"kind 'exportrs'.*did you mean 'exporters'"):
        sandbox().host.resolve("exportrs", "best")


def test_observers_are_no_components():
    with pytest.raises(InvalidArgument, match="kind 'plugins'"):
        sandbox().host.catalogue("plugins")


def test_a_third_party_replaces_the_built_in_of_its_name():
    host = sandbox().add("exporters", "best", Theirs, dist="expcore-mybest", version="2.0").host
    assert host.load("exporters", "best") is Theirs
    found = host.explain("exporters", "best")
    assert found.rule == "third party"
    assert found.replaced.dist == "expcore"
    assert [(c.dist, c.status) for c in found.candidates] == [
        ("expcore", "shadowed"),
        ("expcore-mybest", "active"),
    ]


def test_a_replacement_is_told_in_one_line_once(caplog):
    host = sandbox().add("exporters", "best", Theirs, dist="expcore-mybest", version="2.0").host
    with caplog.at_level(logging.INFO, "expcore"):
        host.explain("exporters", "best")
        assert caplog.messages == []
        host.resolve("exporters", "best")
        host.resolve("exporters", "best")
    assert caplog.messages == [
        "exporters/best: expcore-mybest 2.0 replaces the built-in of expcore 0.1.0; "
        "--use exporters/best=expcore or the name expcore:best has the built-in"
    ]


def test_a_qualified_name_reaches_the_built_in_that_was_replaced_and_tells_nothing(caplog):
    host = sandbox().add("exporters", "best", Theirs, dist="expcore-mybest").host
    with caplog.at_level(logging.INFO, "expcore"):
        assert host.load("exporters", "expcore:best") is BuiltIn
        assert host.load("exporters", "Expcore_MyBest:best") is Theirs
    assert caplog.messages == []
    assert host.explain("exporters", "expcore:best").rule == "qualified name"


def test_a_choice_beats_the_third_party():
    host = sandbox(use=["exporters/best=expcore"]).add("exporters", "best", Theirs, dist="a").host
    assert host.load("exporters", "best") is BuiltIn
    assert host.explain("exporters", "best").rule == "choice"


def test_a_qualified_name_beats_the_choice():
    host = sandbox(use={"exporters/best": "expcore"}).add("exporters", "best", Theirs, dist="a").host
    assert host.load("exporters", "a:best") is Theirs


def test_a_choice_that_nobody_provides_is_an_error_that_names_the_choice():
    host = sandbox(use=["exporters/best=expcor"]).host
    with pytest.raises(
        UnknownComponent,
        match=r"'expcor' does not provide it; did you mean 'expcore'.*exporters/best=expcor ",
    ):
        host.resolve("exporters", "best")


def test_a_choice_among_two_third_parties_settles_the_conflict():
    host = sandbox(use=["exporter/best=B_"]).add("exporters", "best", Theirs, dist="a").host
    with pytest.raises(UnknownComponent):
        host.resolve("exporters", "best")
    host = (
        PluginSandbox(use=["exporter/best=dist.B"])
        .add("exporters", "best", Theirs, dist="dist-a")
        .add("exporters", "best", Others, dist="dist-b")
        .host
    )
    assert host.load("exporters", "best") is Others


def test_two_third_parties_are_a_conflict_that_names_both_and_three_ways_out():
    host = (
        sandbox()
        .add("exporters", "best", Theirs, dist="dist-a", version="1.0")
        .add("exporters", "best", Others, dist="dist-b", version="2.0")
        .host
    )
    with pytest.raises(ComponentConflict) as caught:
        host.resolve("exporters", "best")
    text = str(caught.value)
    for part in (
        "dist-a 1.0",
        "dist-b 2.0",
        "--use exporters/best=dist-a",
        "EXPCORE_DISABLE=dist-b:exporters/best",
        "pip uninstall dist-b",
    ):
        assert part in text
    assert host.load("exporters", "expcore:best") is BuiltIn
    assert host.load("exporters", "dist-b:best") is Others


def test_the_ways_out_of_a_conflict_lead_out():
    def rivals(**options):
        box = sandbox(**options).add("exporters", "best", Theirs, dist="dist-a")
        return box.add("exporters", "best", Others, dist="dist-b").host

    assert rivals(use=["exporters/best=dist-a"]).load("exporters", "best") is Theirs
    assert rivals(disable=["dist-b:exporters/best"]).load("exporters", "best") is Theirs


def test_a_conflict_hurts_only_who_asks_for_that_name():
    host = (
        sandbox()
        .add("exporters", "best", Theirs, dist="dist-a")
        .add("exporters", "best", Others, dist="dist-b")
        .add("exporters", "other", Others, dist="dist-b")
        .host
    )
    assert host.load("exporters", "other") is Others


def test_one_distribution_that_declares_a_name_twice_is_in_conflict_with_itself():
    host = PluginSandbox().add("hooks", "h", Theirs, dist="d").add("hooks", "h", Others, dist="d").host
    with pytest.raises(ComponentConflict, match="may declare a name only once"):
        host.resolve("hooks", "h")


def test_the_answer_does_not_depend_on_the_order_of_declaration():
    parts = [(Theirs, "dist-a"), (BuiltIn, "expcore")]
    for order in (parts, parts[::-1]):
        box = PluginSandbox()
        for factory, dist in order:
            box.add("exporters", "best", factory, dist=dist)
        assert box.host.load("exporters", "best") is Theirs


def test_an_unknown_name_is_told_with_the_nearest_and_the_list():
    host = sandbox().add("exporters", "latest", Theirs).host
    with pytest.raises(UnknownComponent) as caught:
        host.resolve("exporters", "bets")
    assert str(caught.value) == (
        "exporter 'bets': no installed plugin provides it; did you mean 'best'?; available: 'best', 'latest'"
    )


def test_a_name_that_is_no_string_is_refused():
    with pytest.raises(InvalidType, match="named by a string"):
        sandbox().host.resolve("exporters", None)


def test_explain_says_how_to_change_it():
    host = sandbox().add("exporters", "best", Theirs, dist="a").host
    assert host.explain("exporters", "best").change == (
        "--use exporters/best=a or --use exporters/best=expcore; EXPCORE_USE and use in pyproject.toml do "
        "the same, and so does the name a:best"
    )
    assert "only one distribution" in sandbox().host.explain("exporters", "best").change


def test_explain_of_an_unknown_name_is_the_same_error():
    with pytest.raises(UnknownComponent, match="did you mean 'best'"):
        sandbox().host.explain("exporters", "bst")


def test_a_catalogue_is_sorted_and_has_what_is_shadowed_but_not_what_is_blocked():
    host = (
        sandbox(disable=["b"])
        .add("exporters", "best", Theirs, dist="a")
        .add("exporters", "best", Theirs, dist="b")
        .add("exporters", "alpha", Theirs, dist="z")
        .host
    )
    assert [(c.name, c.dist) for c in host.catalogue("exporters")] == [
        ("alpha", "z"),
        ("best", "a"),
        ("best", "expcore"),
    ]


def test_distribution_names_are_compared_in_their_canonical_spelling():
    host = PluginSandbox(use=["hooks/h=My.Dist"]).add("hooks", "h", Theirs, dist="My_Dist").host
    assert host.resolve("hooks", "h").dist == "my-dist"


# --- making something of it ---------------------------------------------------------------------------


def make(metric, mode="min", *, name=None):
    if mode == "boom":
        raise RuntimeError("no such mode")
    return metric, mode, name


def maker(factory=make):
    return PluginSandbox().add("exporters", "best", factory, dist="d", version="1.2").host


def test_create_calls_the_factory_with_its_parameters_also_one_called_name():
    assert maker().create("exporters", "best", metric="auc", name="n") == ("auc", "min", "n")


def test_create_refuses_an_unknown_parameter_with_the_nearest():
    with pytest.raises(UnknownOption) as caught:
        maker().create("exporters", "best", metrik="auc")
    assert str(caught.value) == (
        "exporter 'best' (d 1.2): it has no parameter 'metrik'; did you mean 'metric'?; "
        "it has 'metric', 'mode', 'name'"
    )


def test_create_refuses_a_missing_parameter():
    with pytest.raises(InvalidArgument, match=r"exporter 'best' \(d 1.2\): parameter 'metric' is missing"):
        maker().create("exporters", "best")


def test_create_leaves_a_factory_with_free_keywords_or_without_signature_alone():
    assert maker(lambda **params: params).create("exporters", "best", anything=1) == {"anything": 1}
    assert maker(dict).create("exporters", "best", anything=1) == {"anything": 1}


def test_an_error_of_the_factory_names_plugin_and_version():
    with pytest.raises(RuntimeError, match="no such mode") as caught:
        maker().create("exporters", "best", metric="a", mode="boom")
    assert caught.value.__notes__ == ["raised while making exporter 'best' (d 1.2)"]


# --- broken plugins ------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A path with one distribution whose module cannot be imported, among healthy entries."""
    fake_distribution(
        tmp_path,
        "expcore-broken",
        "3.1",
        {
            "expcore.exporters": {
                "broken": "broken_host_mod:Exporter",
                "gone": "no_such_module_at_all:X",
                "lacks": "healthy_host_mod:Missing",
                "number": "healthy_host_mod:NUMBER",
                "healthy": "healthy_host_mod:Exporter",
                "exits": "exiting_host_mod:Exporter",
                "bad": "not a reference",
            }
        },
        {
            "broken_host_mod": "import pyarrow_that_is_not_there\n",
            "healthy_host_mod": "class Exporter: pass\nNUMBER = 1\n",
            "exiting_host_mod": "import sys\nsys.exit(3)\n",
        },
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("broken_host_mod", "healthy_host_mod", "exiting_host_mod"):
        sys.modules.pop(name, None)


def test_asking_for_a_broken_component_raises_with_its_cause(broken):
    host = PluginHost(environ={})
    with pytest.raises(PluginLoadError) as caught:
        host.load("exporters", "broken")
    assert str(caught.value) == (
        "exporter 'broken' (expcore-broken 3.1): import failed: ModuleNotFoundError: No module named "
        "'pyarrow_that_is_not_there'; repair or uninstall expcore-broken, or skip it with "
        "EXPCORE_DISABLE=expcore-broken:exporters/broken"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    failures = {f.entry: f for f in host.failures}
    failure = failures["exporters/broken"]
    assert (failure.dist, failure.version, failure.phase) == ("expcore-broken", "3.1", "import")
    assert failure.error is caught.value.__cause__


@pytest.mark.parametrize("name", ["gone", "lacks", "number", "exits", "bad"])
def test_every_way_of_being_broken_is_a_load_error_and_never_unknown(broken, name):
    with pytest.raises(PluginLoadError, match=r"expcore-broken 3\.1"):
        PluginHost(environ={}).load("exporters", name)


def test_a_broken_plugin_does_not_hurt_its_neighbours_or_the_built_ins(broken):
    host = PluginHost(environ={})
    assert host.load("exporters", "healthy").__name__ == "Exporter"
    assert host.resolve("exporters", "best").dist == "expcore"


def test_nothing_is_imported_before_it_is_asked_for(broken):
    host = PluginHost(environ={})
    host.catalogue("exporters")
    host.statuses()
    host.explain("exporters", "healthy")
    host.resolve("exporters", "healthy")
    host.snapshot()
    assert "healthy_host_mod" not in sys.modules


def test_a_malformed_declaration_is_one_line_and_a_failure(broken, caplog):
    host = PluginHost(environ={})
    host.catalogue("exporters")
    host.catalogue("hooks")
    lines = [m for m in caplog.messages if "exporters/bad" in m]
    assert len(lines) == 1
    assert lines[0].startswith(
        "exporters/bad (expcore-broken 3.1): declaration failed: InvalidArgument: value"
    )
    assert "EXPCORE_DISABLE=expcore-broken:exporters/bad" in lines[0]
    assert "\n" not in lines[0]
    assert [f.entry for f in host.failures] == ["exporters/bad"]


def test_the_way_to_skip_a_broken_plugin_silences_it(broken, caplog):
    host = PluginHost(environ={"EXPCORE_DISABLE": "expcore-broken:exporters/bad"})
    host.catalogue("exporters")
    assert caplog.messages == []
    assert host.failures == []


def test_strict_raises_for_a_malformed_declaration_at_once(broken):
    with pytest.raises(PluginLoadError, match="exporters/bad"):
        PluginHost(environ={"EXPCORE_STRICT_PLUGINS": "1"}).catalogue("hooks")


def test_a_broken_replacement_is_not_silently_passed_over():
    box = sandbox()
    box.add("exporters", "best", "not callable", dist="a", version="1")
    with pytest.raises(PluginLoadError, match=r"exporter 'best' \(a 1\)"):
        box.host.load("exporters", "best")
    assert box.host.load("exporters", "expcore:best") is BuiltIn


def test_what_loads_after_all_is_no_failure_any_more(tmp_path, monkeypatch):
    fake_distribution(tmp_path, "late", "1", {"expcore.hooks": {"late": "late_host_mod:Hook"}})
    monkeypatch.syspath_prepend(tmp_path)
    host = PluginHost(environ={})
    with pytest.raises(PluginLoadError):
        host.load("hooks", "late")
    assert [f.entry for f in host.failures] == ["hooks/late"]
    (tmp_path / "late_host_mod.py").write_text("class Hook: pass\n")
    monkeypatch.syspath_prepend(tmp_path)  # makes the import system look again
    assert host.load("hooks", "late").__name__ == "Hook"
    assert host.failures == []
    sys.modules.pop("late_host_mod", None)


# --- what is shown and recorded ------------------------------------------------------------------------


def test_statuses_show_active_shadowed_blocked_broken_and_conflict(broken):
    host = PluginHost(environ={}, disable=["expcore:exporters/final"])
    rows = {(r.kind, r.name): r for r in host.statuses()}
    assert rows["exporters", "best"].status == "active"
    assert rows["exporters", "final"].status == "blocked"
    assert rows["exporters", "gone"].status == "broken"
    assert rows["exporters", "bad"].status == "broken"
    row = rows["exporters", "healthy"]
    assert (row.provider, row.version, row.status, row.target) == (
        "expcore-broken",
        "3.1",
        "active",
        "healthy_host_mod:Exporter",
    )
    assert rows["plugins", "default_hooks"].provider == "expcore"
    box = sandbox().add("exporters", "best", Theirs, dist="a")
    assert [r.status for r in box.host.statuses("exporter")] == ["active", "shadowed"]
    box.add("exporters", "best", Others, dist="b")
    assert [r.status for r in box.host.statuses("exporters")] == ["conflict", "conflict", "shadowed"]


def test_a_module_made_by_hand_is_not_taken_for_broken(tmp_path, monkeypatch):
    fake_distribution(tmp_path, "by-hand", "1", {"expcore.hooks": {"h": "by_hand_mod:Hook"}})
    monkeypatch.syspath_prepend(tmp_path)
    module = types.ModuleType("by_hand_mod")
    module.Hook = Theirs
    monkeypatch.setitem(sys.modules, "by_hand_mod", module)
    host = PluginHost(environ={})
    assert [r.status for r in host.statuses("hooks") if r.name == "h"] == ["active"]
    assert host.load("hooks", "h") is Theirs


def test_statuses_of_one_kind_are_only_that_kind():
    box = sandbox().add("hooks", "h", Theirs)
    assert {r.kind for r in box.host.statuses("hooks")} == {"hooks"}
    assert {r.kind for r in box.host.statuses()} == {"hooks", "exporters"}


def test_a_snapshot_is_json_and_says_what_was_replaced_blocked_and_broken(broken):
    box = (
        sandbox(disable=["off"])
        .add("exporters", "best", Theirs, dist="a", version="1")
        .add("hooks", "h", Theirs, dist="off")
        .add("hooks", "two", Theirs, dist="b", version="1")
        .add("hooks", "two", Others, dist="c", version="2")
    )
    shot = json.loads(json.dumps(box.host.snapshot()))
    best = shot["components"]["exporters/best"]
    assert (best["dist"], best["version"]) == ("a", "1")
    assert best["target"].endswith(":Theirs")
    assert (best["replaced"]["dist"], best["replaced"]["version"]) == ("expcore", "0.1.0")
    assert [c["dist"] for c in shot["components"]["hooks/two"]["conflict"]] == ["b", "c"]
    assert "hooks/h" not in shot["components"]
    assert shot["blocked"] == ["off:hooks/h"]
    host = PluginHost(environ={})
    assert [f["entry"] for f in host.snapshot()["failures"]] == ["exporters/bad"]
    assert "InvalidArgument: value" in host.snapshot()["failures"][0]["error"]
    assert host.snapshot()["components"]["exporters/best"]["replaced"] is None


def test_a_process_has_one_default_host_until_another_is_set():
    before = set_default_host(None)
    try:
        host = default_host()
        assert default_host() is host
        other = PluginHost(environ={})
        assert set_default_host(other) is host
        assert default_host() is other
    finally:
        set_default_host(before)
