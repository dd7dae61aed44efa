"""What is wrong in an experiment gets one clear line and an exit code, and what was on disk stays."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.tf]

EXPERIMENTS = '''
"""One good experiment and many that are wrong somewhere, each a function of its own."""
import keras
import numpy as np

import expcore
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.exporters.best import Best
from expcore_plugins.exporters.saved_model import SavedModel

X = np.linspace(-1, 1, 64, dtype="float32")[:, None]


def data():
    return X, 3 * X


def endless():
    import tensorflow as tf
    return tf.data.Dataset.from_tensor_slices(data()).repeat().batch(8)


def line(units=1, compiled=True):
    model = keras.Sequential([keras.Input((1,), name="x"), keras.layers.Dense(units)])
    if compiled:
        model.compile("sgd", loss="mse", metrics=["mae"])
    return model


def made(output_dir, model=line, train=endless, evaluate=data, **changes):
    given = {"train_steps": 12, "export_strategies": [Best(SavedModel())], **changes}
    config = expcore.RunConfig(model_dir=output_dir, save_checkpoints_steps=6)
    return expcore.Experiment(KerasEstimator(model, config=config), train, evaluate, **given)


def good(output_dir):
    return made(output_dir)


def more(output_dir, **changes):
    return made(output_dir, **{"train_steps": 20, **changes})


def not_compiled(output_dir):
    return more(output_dir, model=line(compiled=False))


def function_of_a_model_not_compiled(output_dir):
    return more(output_dir, model=lambda: line(compiled=False))


def no_model(output_dir):
    return more(output_dir, model=3)


def another_model(output_dir):
    return more(output_dir, model=lambda: line(units=2))


def input_is_none(output_dir):
    return more(output_dir, train=lambda: None)


def eval_input_is_none(output_dir):
    return made(output_dir, evaluate=lambda: None, train_steps=20)


def input_needs_an_argument(output_dir):
    def train(params):
        return X, X
    return more(output_dir, train=train)


def input_is_empty(output_dir):
    return more(output_dir, train=lambda: (X[:0], X[:0]))


def input_of_four_parts(output_dir):
    import tensorflow as tf
    return more(output_dir, train=lambda: tf.data.Dataset.from_tensors((X, X, X, X)))


def input_of_single_examples(output_dir):
    import tensorflow as tf
    return more(output_dir, train=lambda: tf.data.Dataset.from_tensor_slices((X[:, 0], X[:, 0])))


def input_without_labels(output_dir):
    return more(output_dir, train=lambda: X)


def input_of_another_shape(output_dir):
    wide = np.zeros((64, 5), "float32")
    return more(output_dir, train=lambda: (wide, wide))


def rows_that_do_not_match(output_dir):
    return more(output_dir, train=lambda: (X, X[:10]))


def metric_that_is_not_there(output_dir):
    return made(output_dir, export_strategies=[Best(SavedModel(), metric="auc")])


def steps_below_zero(output_dir):
    return more(output_dir, train_steps=-5)


def same_exporter_twice(output_dir):
    return more(output_dir, export_strategies=[Best(SavedModel()), Best(SavedModel())])


def no_exporter(output_dir):
    return more(output_dir, export_strategies=[object()])


def no_hook(output_dir):
    return more(output_dir, train_hooks=[object()])


def validation_callback(output_dir):
    return more(output_dir, train_hooks=[keras.callbacks.EarlyStopping(monitor="val_loss")])


def unknown_plugin(output_dir):
    return more(output_dir, export_strategies=expcore.PluginHost().create("exporters", "bset"))


def unknown_parameter(output_dir):
    return more(output_dir, export_strategies=expcore.PluginHost().create("exporters", "best", metrc="loss"))
'''

CONFIG = """
estimator: {type: keras, model: ./experiments.py:line}
train_input_fn: ./experiments.py:endless
eval_input_fn: ./experiments.py:data
train_steps: 20
"""

DRIVER = """
import json, os, sys
from click.testing import CliRunner
from expcore.cli import main
told = {}
before = dict(os.environ)
for name, args, environ in json.loads(sys.argv[1]):
    os.environ.clear()
    os.environ.update(before | environ)
    done = CliRunner().invoke(main, args)
    told[name] = [done.exit_code, done.stdout, done.stderr]
print(json.dumps(told))
"""
"""Runs many commands in one process, since each start of TensorFlow takes seconds."""


def cluster(**task):
    return {"TF_CONFIG": json.dumps({"cluster": {"chief": ["localhost:2222"]}, "task": task})}


CASES = {
    # name: (function or file, options, environment, exit code, what the line says)
    "not_compiled": ("", (), {}, 64, ("is not compiled", "compile(")),
    "function_of_a_model_not_compiled": ("", (), {}, 64, ("is not compiled", "compile(")),
    "no_model": ("", (), {}, 64, ("model", "int", "keras.Model")),
    "another_model": ("", (), {}, 64, ("ckpt-12", "[1, 1]", "[1, 2]", "model_dir")),
    "input_is_none": ("", (), {}, 64, ("input function", "nothing (None)", "tf.data.Dataset")),
    "eval_input_is_none": ("", ("--schedule", "evaluate"), {}, 64, ("input function", "nothing (None)")),
    "input_needs_an_argument": ("", (), {}, 64, ("'params'", "functools.partial")),
    "input_is_empty": ("", (), {}, 64, ("no batch", "not empty")),
    "input_of_four_parts": ("", (), {}, 64, ("(features, labels, weights)",)),
    "input_of_single_examples": ("", (), {}, 64, ("single examples", "dataset.batch(")),
    "input_without_labels": ("", (), {}, 64, ("input float32[None, 1] does not fit model",)),
    "input_of_another_shape": ("", (), {}, 64, ("float32[None, 5]", "does not fit model")),
    "rows_that_do_not_match": ("", (), {}, 64, ("[10, 64]", "as many")),
    "metric_that_is_not_there": ("", (), {}, 64, ("'best'", "'auc'", "'loss'")),
    "steps_below_zero": ("", (), {}, 64, ("train_steps is -5", "positive")),
    "same_exporter_twice": ("", (), {}, 64, ("2 exporters are called 'best'", "name=")),
    "no_exporter": ("", (), {}, 64, ("export",)),
    "no_hook": ("", (), {}, 64, ("hook object", "give an expcore hook")),
    "validation_callback": ("", (), {}, 64, ("val_loss", "early_stopping")),
    "unknown_plugin": ("", (), {}, 64, ("exporter 'bset'", "did you mean 'best'?")),
    "unknown_parameter": ("", (), {}, 64, ("'metrc'", "did you mean 'metric'?")),
    "unknown schedule": (":more", ("--schedule", "trian"), {}, 64, ("'trian'; did you mean 'train'?",)),
    "no such file": ("experimints.py", (), {}, 64, ("no such file; did you mean 'experiments.py'?",)),
    "no such function": (":mroe", (), {}, 64, ("no function 'mroe'; did you mean 'more'?",)),
    "below a file": (":more", ("--output-dir", "{out}/checkpoint/x"), {}, 73, ("is not a folder",)),
    "TF_CONFIG is no JSON": (":more", (), {"TF_CONFIG": "{cluster"}, 64, ("TF_CONFIG", "JSON")),
    "TF_CONFIG without the task": (":more", (), cluster(type="wroker", index=0), 64, ("TF_CONFIG", "wroker")),
    "TF_CONFIG beyond the list": (":more", (), cluster(type="chief", index=3), 64, ("TF_CONFIG", "3")),
    "config not allowed to import": ("exp.yaml", (), {}, 64, ("--allow-imports",)),
    "config with a misspelt key": ("typo.yaml", (), {}, 64, ("train_stepz", "did you mean 'train_steps'?")),
    "config with an unknown component": (
        *("kind.yaml", ("--allow-imports",), {}, 64),
        ("export_strategies", "'bset'", "did you mean 'best'?"),
    ),
}


def snapshot(out):
    """What is in a model directory: a digest by path, of a growing log its text."""
    return {
        str(path.relative_to(out)): path.read_text()
        if path.suffix == ".jsonl"
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Trains once, then makes every mistake in the directory of that run, in one process."""
    folder = tmp_path_factory.mktemp("bad")
    out = folder / "out"
    (folder / "experiments.py").write_text(EXPERIMENTS)
    (folder / "exp.yaml").write_text(CONFIG)
    (folder / "typo.yaml").write_text(CONFIG.replace("train_steps", "train_stepz"))
    (folder / "kind.yaml").write_text(CONFIG + "export_strategies: [{type: bset, of: saved_model}]\n")
    commands = {}
    for name, (file, options, environ, _, _) in CASES.items():
        file = file if file.endswith((".py", ".yaml")) else f"experiments.py{file or ':' + name}"
        options = [option.format(out=out) for option in options]
        commands[name] = [["run", str(folder / file), "--output-dir", str(out), *options], environ]
    good = ["run", f"{folder / 'experiments.py'}:good", "--output-dir", str(out)]
    results = driven([["good", good, {}]], folder)
    assert results["good"][0] == 0, results["good"]
    before = snapshot(out)
    results |= driven([[name, *command] for name, command in commands.items()], folder)
    return results, before, snapshot(out)


def driven(commands, folder):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "TF_CONFIG"))}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_told_in_one_line_with_its_exit_code(told, name):
    _, _, _, code, parts = CASES[name]
    exit_code, stdout, stderr = told[0][name]
    assert "Traceback" not in stdout + stderr
    lines = [line for line in stderr.splitlines() if line.startswith("expcore: error: ")]
    assert len(lines) == 1, stderr
    assert [part for part in parts if part not in lines[0]] == [], lines[0]
    assert exit_code == code, lines[0]
    assert stdout == ""


def test_every_mistake_was_made_in_the_directory_of_a_run_and_changed_nothing_but_the_log(told):
    _, before, after = told
    kept = {path: content for path, content in before.items() if not path.startswith("expcore/")}
    assert any(path.startswith("ckpt-12") for path in kept)
    assert any(path.startswith("export/best/") for path in kept)
    assert {path: content for path, content in after.items() if not path.startswith("expcore/")} == kept
    logs = {path for path in before if path.endswith(".jsonl")}
    assert logs
    for path in logs:
        assert after[path] == before[path]
