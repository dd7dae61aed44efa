"""Components described in a config: the form, the checks against signatures, the making."""

from __future__ import annotations

import pytest

from expcore.config.components import Components
from expcore.errors import ConfigError, PluginLoadError, UnknownComponent
from expcore.types import Component


class Saved:
    def __init__(self, signatures=None):
        self.signatures = signatures


class Best:
    def __init__(self, format, metric="loss", name=None, *, keep=5):  # noqa: A002
        if keep == 0:
            raise ValueError("keep is 0")
        if keep == -1:
            raise OSError("disk on fire")
        self.format, self.metric, self.name, self.keep = format, metric, name, keep


class AllOf:
    def __init__(self, *of):
        self.of = of


class Keyword:
    def __init__(self, *, inner):
        self.inner = inner


class Estimator:
    def __init__(self, model, config=None, model_dir=None, rate=0.1):
        self.model, self.config, self.model_dir, self.rate = model, config, model_dir, rate


class Plain:
    """Takes nothing."""


def anything(**params):
    return params


def positional(inner, /):
    return [inner]


FACTORIES = {
    ("exporters", "saved"): Saved,
    ("exporters", "best"): Best,
    ("exporters", "mine:best"): lambda format: ("mine", format),  # noqa: A006
    ("predicates", "all_of"): AllOf,
    ("predicates", "plain"): Plain,
    ("hooks", "keyword"): Keyword,
    ("hooks", "plain"): Plain,
    ("hooks", "anything"): anything,
    ("hooks", "positional"): positional,
    ("hooks", "builtin"): dict,
    ("estimators", "keras"): Estimator,
    ("estimators", "bare"): lambda rate=1: ("bare", rate),
}


class Host:
    def resolve(self, kind, name):
        if name == "broken":
            raise PluginLoadError("plugin is broken")
        if (kind, name) not in FACTORIES:
            raise UnknownComponent(f"{kind[:-1]} {name!r}: no installed plugin provides it")
        return Component(kind, name.rpartition(":")[2], lambda: FACTORIES[kind, name], "dist", "1.0")


def check(kind, value, path="here", **offered):
    return Components(Host()).check(kind, value, path, **offered)


def problem(kind, value, path="here", **offered):
    with pytest.raises(ConfigError) as raised:
        check(kind, value, path, **offered)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_name_alone_and_a_type_alone_are_the_component_with_its_defaults():
    assert check("exporters", "saved")().signatures is None
    assert isinstance(check("exporters", {"type": "saved"})(), Saved)


def test_parameters_and_the_wrapped_component_are_passed():
    made = check(
        "exporters",
        {
            "type": "best",
            "name": "best_auc",
            "of": {"type": "saved", "signatures": 2},
            "metric": "auc",
            "keep": 3,
        },
    )()
    assert (made.name, made.metric, made.keep, made.format.signatures) == ("best_auc", "auc", 3, 2)


def test_the_wrapped_component_may_be_a_name_or_an_object():
    assert isinstance(check("exporters", {"type": "best", "of": "saved"})().format, Saved)
    thing = Saved()
    assert check("exporters", {"type": "best", "of": thing})().format is thing


def test_a_qualified_name_reaches_that_distribution():
    assert check("exporters", {"type": "mine:best", "of": "saved"})()[0] == "mine"


def test_a_first_parameter_that_takes_any_number_gets_a_list():
    made = check("predicates", {"type": "all_of", "of": ["plain", {"type": "all_of", "of": []}, len]})()
    assert [type(part).__name__ for part in made.of] == ["Plain", "AllOf", "builtin_function_or_method"]


def test_a_first_parameter_by_keyword_or_by_position_only_takes_a_component_too():
    assert isinstance(check("hooks", {"type": "keyword", "of": "plain"})().inner, Plain)
    assert isinstance(check("hooks", {"type": "positional", "of": "plain"})()[0], Plain)


def test_mappings_under_other_parameters_are_plain_data():
    assert check("hooks", {"type": "anything", "settings": {"type": "saved"}})() == {
        "settings": {"type": "saved"}
    }


def test_objects_are_taken_as_they_are():
    thing = object()
    assert check("hooks", thing)() is thing


def test_each_making_makes_anew():
    make = check("exporters", {"type": "best", "of": "saved"})
    assert make() is not make()
    assert make().format is not make().format


def test_checking_makes_nothing():
    with pytest.raises(ConfigError, match="keep is 0"):
        check("exporters", {"type": "best", "of": "saved", "keep": 0})()
    check("exporters", {"type": "best", "of": "saved", "keep": 0})


def test_a_factory_without_a_signature_is_given_everything():
    assert check("hooks", {"type": "builtin", "a": 1})() == {"a": 1}


def test_what_is_offered_is_passed_to_a_factory_that_names_it_only():
    made = check("estimators", {"type": "keras", "model": "m"}, config="c", model_dir="/m")()
    assert (made.model, made.config, made.model_dir) == ("m", "c", "/m")
    assert check("estimators", {"type": "bare", "rate": 2}, config="c", model_dir="/m")() == ("bare", 2)


def test_a_checked_parameter_can_be_replaced_at_making():
    assert check("estimators", {"type": "keras", "model": "m"})(model="other").model == "other"


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (
            "exporters",
            {"type": "best", "of": "saved", "metrc": "auc"},
            "here.metrc: exporter 'best' (dist 1.0) has no such parameter; did you mean 'metric'",
        ),
        (
            "exporters",
            {"type": "best", "of": {"type": "saved", "signature": 1}},
            "here.of.signature: exporter 'saved'",
        ),
        ("exporters", {"type": "best"}, "here: exporter 'best' (dist 1.0) needs 'format'; add it, or 'of'"),
        ("estimators", {"type": "keras"}, "here: estimator 'keras' (dist 1.0) needs 'model'"),
        (
            "exporters",
            {"type": "best", "of": "saved", "format": "saved"},
            "here.format: it is the same parameter as 'of'",
        ),
        ("exporters", {"type": "best", "of": ["saved"]}, "here.of: it must be one component"),
        ("predicates", {"type": "all_of", "of": "plain"}, "here.of: it must be a list of components"),
        (
            "predicates",
            {"type": "all_of", "of": ["plain", {"type": "plan"}]},
            "here.of[1]: predicate 'plan': no installed",
        ),
        (
            "predicates",
            {"type": "plain", "of": "plain"},
            "here.of: predicate 'plain' (dist 1.0) takes no other component",
        ),
        (
            "hooks",
            {"type": "anything", "of": "plain"},
            "here.of: hook 'anything' (dist 1.0) takes no other component",
        ),
        (
            "hooks",
            {"type": "plain", "x": 1},
            "here.x: hook 'plain' (dist 1.0) has no such parameter; it has none",
        ),
        ("exporters", {"type": "saved", "name": "s"}, "wrap it: {type: latest, name: ..., of: ...}"),
        ("exporters", "nothing", "here: exporter 'nothing': no installed plugin"),
        ("exporters", "", "here.type: '' is not a plugin's name"),
        ("exporters", {}, "here.type: None is not a plugin's name"),
        ("exporters", {"type": 3}, "here.type: 3 is not a plugin's name"),
        ("exporters", {"tpye": "best"}, "here.type: None is not a plugin's name; 'tpye' may be meant"),
        ("hooks", "saved", "here: hook 'saved': no installed plugin"),
    ],
)
def test_each_mistake_is_told_with_its_path(kind, value, message):
    told = problem(kind, value)
    assert told.startswith(message) or (message.startswith("wrap") and message in told)


def test_a_config_must_not_give_what_is_offered():
    assert problem("estimators", {"type": "keras", "model": 1, "config": 2}, config=3).startswith(
        "here.config: "
    )


def test_values_that_a_factory_refuses_are_config_errors_with_path_and_cause():
    with pytest.raises(ConfigError, match=r"^here: keep is 0$") as raised:
        check("exporters", {"type": "best", "of": "saved", "keep": 0})()
    assert isinstance(raised.value.__cause__, ValueError)


def test_other_errors_of_a_factory_go_through_with_a_note():
    with pytest.raises(OSError, match="disk on fire") as raised:
        check("exporters", {"type": "best", "of": "saved", "keep": -1})()
    assert raised.value.__notes__ == ["raised while making exporter 'best' (dist 1.0) of here"]


def test_a_broken_plugin_raises_its_own_error_with_the_path_as_a_note():
    with pytest.raises(PluginLoadError) as raised:
        check("hooks", "broken", "train_hooks[0]")
    assert raised.value.__notes__ == ["asked for by train_hooks[0] of the config"]
