"""ExperimentConfig and create_experiment."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expcore.cluster import RunConfig
from expcore.config import ExperimentConfig, create_experiment, schedule_of
from expcore.errors import ClusterError, ConfigError, InvalidArgument
from expcore.experiment import Experiment
from expcore.testing.clock import VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.testing.sandbox import PluginSandbox
from expcore_plugins.exporters.best import Best
from expcore_plugins.hooks.stop_at_step import StopAtStep
from expcore_plugins.predicates.any_of import AnyOf
from expcore_plugins.predicates.until_step import UntilStep
from expcore_plugins.predicates.while_improving import WhileImproving

LEAST = {"estimator": "numpy", "train_input_fn": print, "eval_input_fn": print, "output_dir": "/m"}


class Recorded:
    """An estimator whose factory notes what it is given."""

    def __init__(self, model=None, config=None, model_dir=None, **more):
        self.model, self.config, self.model_dir, self.more = model, config, model_dir, more

    def train(self, *args, **keywords):
        return self

    def evaluate(self, *args, **keywords):
        return {}

    def latest_checkpoint(self):
        return None


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def host():
    box = PluginSandbox(builtins=True)
    box.add("estimators", "numpy", NumpyEstimator).add("estimators", "recorded", Recorded)
    return box.host


def written(folder, name, config):
    path = folder / name
    path.write_text(json.dumps(config) if name.endswith(".json") else yaml.safe_dump(config, sort_keys=False))
    return path


def problem(host, config, **keywords):
    with pytest.raises(ConfigError) as raised:
        create_experiment(config, plugins=host, **keywords)
    return str(raised.value)


def test_the_defaults_are_those_of_experiment():
    ours = {f.name: f.default for f in dataclasses.fields(ExperimentConfig)}
    theirs = {n: p.default for n, p in inspect.signature(Experiment).parameters.items()}
    shared = [name for name in ours if name in theirs and ours[name] is not dataclasses.MISSING]
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
    left_out = set(theirs) - set(ours)
    assert left_out == {"saving_listeners", "plugins", "clock"}


def test_every_argument_of_experiment_is_passed_on(host):
    numbers = {
        "train_steps": 7,
        "eval_steps": None,
        "eval_delay_secs": 1.5,
        "continuous_eval_throttle_secs": 2,
        "eval_every_n_steps": 3,
        "delay_workers_by_global_step": True,
        "train_steps_per_iteration": 4,
    }
    clock = VirtualClock()
    experiment = create_experiment({**LEAST, **numbers}, plugins=host, clock=clock)
    assert {name: getattr(experiment, name) for name in numbers} == numbers
    assert experiment.plugins is host
    assert experiment.clock is clock
    assert (experiment.train_input_fn, experiment.eval_input_fn) == (print, print)


def test_a_config_of_names_becomes_an_experiment_of_objects(host, tmp_path):
    config = {
        "name": "wine",
        "output_dir": "/m",
        "run_config": {"save_checkpoints_steps": 50, "random_seed": 3},
        "estimator": {"type": "numpy", "kind": "logistic"},
        "train_hooks": [{"type": "stop_at_step", "last_step": 9}],
        "eval_hooks": ["nan_guard"],
        "export_strategies": [
            {
                "type": "best",
                "name": "best_auc",
                "of": {"type": "saved_model"},
                "metric": "auc",
                "mode": "max",
            },
            {"type": "latest", "of": "keras_archive"},
        ],
    }
    data = {"train_input_fn": print, "eval_input_fn": {"test": print, "train": len}}
    experiment = create_experiment([written(tmp_path, "c.yaml", config), data], plugins=host)
    estimator = experiment.estimator
    assert (estimator.kind, estimator.model_dir) == ("logistic", "/m")
    assert estimator.config == RunConfig(model_dir="/m", save_checkpoints_steps=50, random_seed=3)
    assert isinstance(experiment.train_hooks[0], StopAtStep)
    assert len(experiment.eval_hooks) == 1
    best, latest = experiment.export_strategies
    assert isinstance(best, Best)
    assert (best.name, best.metric, best.mode, latest.name) == ("best_auc", "auc", "max", "latest")
    assert list(experiment.eval_sets) == ["test", "train"]


def test_such_an_experiment_trains_and_evaluates(host, tmp_path):
    (tmp_path / "data.py").write_text(
        "import numpy as np\n"
        "def train():\n    x = np.random.default_rng(0).normal(size=(64, 2))\n    return x, x @ [1.0, 2.0]\n"
    )
    config = {
        "estimator": "numpy",
        "train_input_fn": "./data.py:train",
        "eval_input_fn": {"all": "./data.py:train"},
        "output_dir": str(tmp_path / "m"),
        "train_steps": 2,
        "eval_steps": None,
        "schedule": "train_and_evaluate",
    }
    experiment = create_experiment(written(tmp_path, "c.json", config), allow_imports=True, plugins=host)
    name, options = schedule_of(config, plugins=host)
    result, exports = experiment.run(name, **options)
    assert result["global_step"] == 2
    assert exports == []


@pytest.mark.parametrize("name", ["c.yaml", "c.json"])
def test_a_path_may_be_text_or_a_path_object(host, tmp_path, name):
    path = written(tmp_path, name, {"estimator": "numpy", "output_dir": "/m"})
    functions = {"train_input_fn": print, "eval_input_fn": print}
    for given_path in (path, str(path)):
        assert ExperimentConfig.read_configs([given_path, functions]).output_dir == "/m"


def test_of_several_configs_the_later_wins_in_depth():
    config = ExperimentConfig.read_configs(
        [
            {
                **LEAST,
                "run_config": {"random_seed": 1, "save_summary_steps": 5},
                "train_hooks": ["nan_guard"],
            },
            {"run_config": {"random_seed": 2}, "train_steps": 5},
            {"train_hooks": ["progress_bar"]},
        ]
    )
    assert config.run_config == {"random_seed": 2, "save_summary_steps": 5}
    assert (config.train_steps, config.train_hooks, config.output_dir) == (5, ["progress_bar"], "/m")


def test_of_a_config_object_in_a_list_only_what_differs_from_the_defaults_counts():
    config = ExperimentConfig(estimator="numpy", train_input_fn=print, eval_input_fn=len, eval_steps=3)
    merged = ExperimentConfig.read_configs([{"train_steps": 9, "eval_steps": 4}, config, {"name": "x"}])
    assert (merged.train_steps, merged.eval_steps, merged.name) == (9, 3, "x")


def test_a_config_object_is_read_as_itself():
    config = ExperimentConfig.read_configs(LEAST)
    assert ExperimentConfig.read_configs(config) is config


def test_a_config_does_not_change_with_what_it_was_made_of():
    hooks = [{"type": "stop_at_step", "last_step": 1}]
    config = ExperimentConfig.read_configs({**LEAST, "train_hooks": hooks})
    hooks[0]["last_step"] = 2
    config.to_dict()["train_hooks"].append(1)
    assert config.train_hooks == [{"type": "stop_at_step", "last_step": 1}]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.train_steps = 1


def test_a_tuple_of_components_is_a_list_and_a_path_object_a_string():
    config = ExperimentConfig.read_configs({**LEAST, "train_hooks": ("nan_guard",), "output_dir": Path("/m")})
    assert (config.train_hooks, config.output_dir) == (["nan_guard"], "/m")


_COMPONENT = st.fixed_dictionaries(
    {"type": st.sampled_from(["a", "b:c"])}, optional={"x": st.integers(), "of": st.just("d")}
)


@given(
    st.fixed_dictionaries(
        {
            "estimator": _COMPONENT,
            "train_input_fn": st.just("m:f"),
            "eval_input_fn": st.just({"b": "m:g", "a": "m:h"}),
        },
        optional={
            "name": st.text(),
            "output_dir": st.text(min_size=1),
            "run_config": st.dictionaries(
                st.sampled_from(["random_seed", "save_summary_steps"]), st.integers()
            ),
            "train_steps": st.none() | st.integers(),
            "eval_steps": st.none() | st.integers(),
            "eval_delay_secs": st.integers() | st.floats(allow_nan=False),
            "train_hooks": st.none() | st.lists(_COMPONENT | st.just("a"), max_size=2),
            "export_strategies": st.lists(_COMPONENT, max_size=2),
            "schedule": st.just("train") | st.just({"type": "train", "delay_secs": 1}),
        },
    )
)
def test_a_config_comes_back_from_its_dict_and_from_json_and_yaml(values):
    config = ExperimentConfig.read_configs(values)
    assert ExperimentConfig.read_configs(config.to_dict()) == config
    assert ExperimentConfig.read_configs(json.loads(json.dumps(config.to_dict()))) == config
    assert ExperimentConfig.read_configs(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config
    assert list(config.to_dict()["eval_input_fn"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_stps": 5}, "train_stps: unknown key; did you mean 'train_steps'?; the keys are 'estimator'"),
        ({"train_steps": "5"}, "train_steps: '5' is not allowed: Input should be a valid integer"),
        ({"train_steps": True}, "train_steps: True is not allowed"),
        ({"train_steps": 5.0}, "train_steps: 5.0 is not allowed"),
        ({"eval_delay_secs": "1"}, "eval_delay_secs: '1' is not allowed"),
        ({"eval_delay_secs": None}, "eval_delay_secs: nothing is not allowed"),
        ({"delay_workers_by_global_step": 1}, "delay_workers_by_global_step: 1 is not allowed"),
        ({"name": 3}, "name: 3 is not allowed"),
        ({"output_dir": ["/m"]}, "output_dir: ['/m'] is not allowed"),
        (
            {"train_hooks": "nan_guard"},
            "train_hooks: 'nan_guard' is not allowed: Input should be a valid list",
        ),
        ({"train_hooks": {"type": "nan_guard"}}, "train_hooks: an object with 1 keys is not allowed"),
        ({"estimator": None}, "estimator: it is empty"),
        ({"estimator": ""}, "estimator: it is empty"),
        ({"train_input_fn": {}}, "train_input_fn: it is empty"),
        ({"eval_input_fn": {}}, "eval_input_fn: it is empty"),
        ({"schedule": 3}, "schedule: 3 is not a schedule's name"),
        ({"schedule": ""}, "schedule: '' is not a schedule's name"),
        ({"schedule": {"delay_secs": 1}}, "schedule: None is not a schedule's name"),
        ({"schedule": {"type": 4}}, "schedule: 4 is not a schedule's name"),
    ],
)
def test_a_wrong_field_is_told_with_its_path(change, message):
    with pytest.raises(ConfigError) as raised:
        ExperimentConfig.read_configs({**LEAST, **change})
    assert str(raised.value).startswith(message)
    if "train_stps" not in change:
        with pytest.raises(ConfigError):
            ExperimentConfig(**{**LEAST, **change})


def test_every_fault_is_told_on_a_line_of_its_own():
    with pytest.raises(ConfigError) as raised:
        ExperimentConfig.read_configs({"train_steps": "x", "eval_steps": "y", "nme": 1})
    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
        "estimator",
        "train_input_fn",
        "eval_input_fn",
        "train_steps",
        "eval_steps",
        "nme",
    ]


@pytest.mark.parametrize("source", [None, 3, [], [3], [["c.yaml"]], b"c.yaml"])
def test_what_is_no_source_is_told(source):
    with pytest.raises(ConfigError, match=r"^config"):
        ExperimentConfig.read_configs(source)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"estimator": "keros"},
            "estimator: estimator 'keros': no installed plugin provides it; did you mean 'keras'",
        ),
        (
            {"estimator": {"type": "numpy", "knd": 1}},
            "estimator.knd: estimator 'numpy' (sandbox 0) has no such",
        ),
        (
            {"estimator": {"type": "numpy", "model_dir": "/x"}},
            "estimator.model_dir: it comes from output_dir",
        ),
        ({"estimator": {"type": "numpy", "kind": "cubic"}}, "estimator: kind is 'cubic'"),
        ({"train_hooks": ["nan_gard"]}, "train_hooks[0]: hook 'nan_gard': no installed plugin"),
        (
            {"eval_hooks": ["nan_guard", {"type": "stop_at_step", "stp": 1}]},
            "eval_hooks[1].stp: hook 'stop_at_step'",
        ),
        ({"train_hooks": ["stop_at_step"]}, "train_hooks[0]: hook 'stop_at_step': last_step is None"),
        (
            {"export_strategies": [{"type": "best", "of": "saved_model", "metrc": "auc"}]},
            "export_strategies[0].metrc: exporter 'best' (expcore 0.1.0) has no such parameter; did you mean",
        ),
        (
            {"export_strategies": [{"type": "best"}]},
            "export_strategies[0]: exporter 'best' (expcore 0.1.0) needs 'form",
        ),
        (
            {"export_strategies": ["while_improving"]},
            "export_strategies[0]: exporter 'while_improving': no installed",
        ),
        ({"run_config": 3}, "run_config: 3 is not a mapping"),
        ({"run_config": {"random_sed": 3}}, "run_config.random_sed: unknown key; did you mean 'random_seed'"),
        ({"run_config": {"model_dir": "/x"}}, "run_config.model_dir: the directory is given by output_dir"),
        ({"run_config": {"random_seed": -3}}, "run_config: RunConfig: random_seed=-3 must be"),
        ({"output_dir": None}, "output_dir: it is missing"),
        ({"output_dir": ""}, "run_config: RunConfig: model_dir='' must be"),
        ({"train_input_fn": 3}, "train_input_fn: 3 is no function"),
        ({"train_input_fn": {"a": print}}, "train_input_fn: {'a': "),
        ({"eval_input_fn": {"a": print, "b": 4}}, "eval_input_fn.b: 4 is no function"),
    ],
)
def test_a_config_that_cannot_be_made_is_told_with_the_path(host, change, message):
    assert problem(host, {**LEAST, **change}).startswith(message)


def test_numbers_that_experiment_does_not_take_are_its_error(host):
    with pytest.raises(InvalidArgument, match="train_steps"):
        create_experiment({**LEAST, "train_steps": 0}, plugins=host)


def test_the_estimator_gets_directory_and_run_config_if_it_names_them(host):
    box = PluginSandbox().add("estimators", "bare", lambda rate=1: Recorded(model_dir="/own", rate=rate))
    bare = create_experiment({**LEAST, "estimator": {"type": "bare", "rate": 5}}, plugins=box.host)
    assert (bare.estimator.config, bare.estimator.more) == (None, {"rate": 5})
    full = create_experiment({**LEAST, "estimator": "recorded"}, plugins=host).estimator
    assert (full.model_dir, full.config) == ("/m", RunConfig(model_dir="/m"))


def test_the_argument_output_dir_takes_the_place_of_the_configs(host):
    experiment = create_experiment(LEAST, plugins=host, output_dir="/other")
    assert (experiment.model_dir, experiment.config.model_dir) == ("/other", "/other")


def test_the_directory_of_tf_config_will_do_and_must_agree(host, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"model_dir": "/t"}')
    assert create_experiment({**LEAST, "output_dir": None}, plugins=host).model_dir == "/t"
    with pytest.raises(ClusterError, match="must agree"):
        create_experiment(LEAST, plugins=host)


def test_a_run_config_object_is_taken_and_gets_the_directory(host):
    run_config = RunConfig(random_seed=4)
    experiment = create_experiment({**LEAST, "run_config": run_config}, plugins=host)
    assert experiment.config == RunConfig(model_dir="/m", random_seed=4)


def test_objects_in_place_of_components_are_taken_as_they_are(host):
    estimator, hook, exporter = NumpyEstimator("/own"), StopAtStep(3), Best(SavedLike())
    config = {
        "estimator": estimator,
        "train_input_fn": print,
        "eval_input_fn": print,
        "train_hooks": [hook],
        "eval_hooks": [hook],
        "export_strategies": [exporter],
    }
    experiment = create_experiment(config, plugins=host)
    assert experiment.estimator is estimator
    assert experiment.train_hooks == experiment.eval_hooks == (hook,)
    assert experiment.export_strategies == (exporter,)
    assert create_experiment({**config, "output_dir": "/own/"}, plugins=host).estimator is estimator
    assert problem(host, {**config, "output_dir": "/x"}).startswith(
        "output_dir: '/x' is not the model_dir '/own'"
    )
    assert problem(host, {**config, "run_config": {}}).startswith("run_config: the estimator is an object")


class SavedLike:
    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        """Writes nothing."""


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"train_input_fn": "no_such_module:f"}, "train_input_fn"),
        ({"eval_input_fn": "no_such_module:f"}, "eval_input_fn"),
        ({"eval_input_fn": {"a": print, "b": "./no_such_file.py:f"}}, "eval_input_fn.b"),
        ({"estimator": {"type": "recorded", "model": "no_such_module:f"}}, "estimator.model"),
    ],
)
def test_nothing_is_imported_unless_the_caller_allows_it(host, change, path):
    told = problem(host, {**LEAST, **change})
    assert told.startswith(f"{path}: ")
    assert "allow_imports=True (--allow-imports)" in told
    assert "cannot be imported" in problem(host, {**LEAST, **change}, allow_imports=True)


def test_a_string_that_is_no_reference_is_never_a_function(host):
    assert "not of the form package.module:attribute" in problem(
        host, {**LEAST, "train_input_fn": "print"}, allow_imports=True
    )


def test_strings_elsewhere_are_only_strings(host):
    config = {**LEAST, "estimator": {"type": "recorded", "model": "resnet50", "loss": "os:getcwd"}}
    estimator = create_experiment(config, plugins=host).estimator
    assert (estimator.model, estimator.more) == ("resnet50", {"loss": "os:getcwd"})


def test_functions_and_models_are_imported_where_that_is_allowed(host):
    config = {
        "estimator": {"type": "recorded", "model": "collections:OrderedDict"},
        "train_input_fn": "os:getcwd",
        "eval_input_fn": {"b": "os.path:join", "a": "os:getpid"},
        "output_dir": "/m",
    }
    from collections import OrderedDict

    experiment = create_experiment(config, allow_imports=True, plugins=host)
    assert experiment.estimator.model is OrderedDict
    assert experiment.train_input_fn is os.getcwd
    assert experiment.eval_input_fn == {"b": os.path.join, "a": os.getpid}
    assert list(experiment.eval_sets) == ["b", "a"]


def test_an_imported_thing_that_is_no_function_is_told(host):
    told = problem(host, {**LEAST, "train_input_fn": "os:sep"}, allow_imports=True)
    assert told.startswith("train_input_fn: 'os:sep' is '/' and no function")


def test_files_are_found_beside_the_config_that_names_them(host, tmp_path, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "e.py").write_text(
            f"def data(): return {folder!r}\ndef model(): return {folder!r}\n"
        )
    first = written(
        tmp_path / "one",
        "c.yaml",
        {
            "estimator": {"type": "recorded", "model": "./e.py:model"},
            "train_input_fn": "./e.py:data",
            "eval_input_fn": {"x": "./e.py:data"},
            "output_dir": "/m",
        },
    )
    second = written(tmp_path / "two", "c.json", {"train_input_fn": "e.py:data"})
    monkeypatch.chdir(tmp_path / "one")
    experiment = create_experiment(["c.yaml", second], allow_imports=True, plugins=host)
    assert experiment.train_input_fn() == "two"
    assert experiment.eval_input_fn["x"]() == "one"
    assert experiment.estimator.model() == "one"
    monkeypatch.chdir(tmp_path)
    assert create_experiment(first, allow_imports=True, plugins=host).train_input_fn() == "one"


def test_everything_is_checked_before_anything_is_imported_or_made(tmp_path):
    made = []
    (tmp_path / "e.py").write_text("raise SystemExit('executed')")
    box = PluginSandbox(builtins=True).add("estimators", "noted", lambda model_dir: made.append(model_dir))
    config = {
        **LEAST,
        "estimator": "noted",
        "train_input_fn": f"{tmp_path}/e.py:data",
        "export_strategies": [{"type": "latest", "of": "saved_model", "kep": 1}],
    }
    assert problem(box.host, config, allow_imports=True).startswith("export_strategies[0].kep: ")
    config["export_strategies"] = []
    config["eval_input_fn"] = "nothing"
    assert problem(box.host, config, allow_imports=True).startswith("eval_input_fn: ")
    config |= {"eval_input_fn": print, "train_input_fn": print, "train_hooks": ["noted"]}
    box.add("hooks", "noted", lambda: made.append("hook"))
    config["estimator"] = {"type": "recorded", "model": "os:getcwd"}
    box.add("estimators", "recorded", Recorded)
    assert problem(box.host, config).startswith("estimator.model: ")
    assert made == []


def test_the_host_of_the_process_is_used_where_none_is_given():
    with PluginSandbox(builtins=True).add("estimators", "numpy", NumpyEstimator) as box:
        assert create_experiment(LEAST).plugins is box.host
        name, options = schedule_of(
            {
                **LEAST,
                "schedule": {
                    "type": "continuous_eval",
                    "continuous_eval_predicate_fn": {"type": "until_step", "step": 3},
                },
            }
        )
    assert name == "continuous_eval"
    assert isinstance(options["continuous_eval_predicate_fn"], UntilStep)


def test_a_schedule_is_a_name_or_a_mapping_whose_components_are_predicates(host):
    assert schedule_of(LEAST, plugins=host) == (None, {})
    assert schedule_of({**LEAST, "schedule": "train"}, plugins=host) == ("train", {})
    schedule = {
        "type": "continuous_eval",
        "name": "late",
        "throttle_delay_secs": 5,
        "settings": {"a": 1},
        "continuous_eval_predicate_fn": {
            "type": "any_of",
            "of": [
                {"type": "while_improving", "metric": "loss", "patience": 2},
                {"type": "until_step", "step": 9},
            ],
        },
    }
    name, options = schedule_of({**LEAST, "schedule": schedule}, plugins=host)
    predicate = options.pop("continuous_eval_predicate_fn")
    assert (name, options) == (
        "continuous_eval",
        {"name": "late", "throttle_delay_secs": 5, "settings": {"a": 1}},
    )
    assert isinstance(predicate, AnyOf)
    assert [type(part) for part in predicate.of] == [WhileImproving, UntilStep]


def test_a_wrong_predicate_of_a_schedule_is_told_with_its_path(host):
    schedule = {"type": "continuous_eval", "continuous_eval_predicate_fn": {"type": "until_step", "stp": 3}}
    with pytest.raises(
        ConfigError, match=r"^schedule\.continuous_eval_predicate_fn\.stp: predicate 'until_step'"
    ):
        schedule_of({**LEAST, "schedule": schedule}, plugins=host)


def test_importing_the_module_imports_neither_pydantic_nor_yaml_nor_tensorflow():
    code = (
        "import sys, expcore.config as c; from expcore import ExperimentConfig, create_experiment\n"
        "assert not {'pydantic', 'yaml', 'tensorflow', 'keras'} & set(sys.modules), sorted(sys.modules)\n"
        "c.ExperimentConfig(estimator='a', train_input_fn='b', eval_input_fn='c')\n"
        "assert 'pydantic' in sys.modules and 'yaml' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
