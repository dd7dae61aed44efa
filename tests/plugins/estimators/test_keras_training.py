"""Training with KerasEstimator: the compiled loop, metrics, limits, hooks, settings and refusals."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore.cluster import parse_tf_config
from expcore.errors import (
    CannotWrite,
    ExpcoreError,
    InvalidArgument,
    InvalidHook,
    InvalidInput,
    InvalidType,
    NotCompiled,
)
from expcore.testing import VirtualClock
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype("float32")


def compiled(model, **options):
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae"], **options})
    return model


def dense(**options):
    keras.utils.set_random_seed(7)
    return compiled(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)]), **options
    )


def batches(n=50, size=10):
    return tf.data.Dataset.from_tensor_slices((X[:n], Y[:n])).batch(size)


def forever():
    return batches().repeat()


class Echo(keras.Model):
    """Says which example came last: its one feature."""

    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        super().train_step(data)
        return {"last": data[0][-1, 0]}


def echo():
    return compiled(Echo(), optimizer=keras.optimizers.SGD(1e-6))


def counted(n=12):
    """Batches of one example: 1, 2, 3 and so on."""
    x = np.arange(1, n + 1, dtype="float32")[:, None]
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(1)


def make(tmp_path, model=dense, clock=None, **config):
    return KerasEstimator(model, tmp_path / "run", RunConfig(**config), clock=clock or VirtualClock())


class Reader:
    """Reads the metrics at given steps, or every n."""

    def __init__(self, *at, every=None):
        self.at, self.every, self.seen, self.calls = at, every, {}, []

    def begin(self, run):
        self.calls.append("begin")

    def next_step(self, step):
        if self.every:
            return step + self.every
        return min((s for s in self.at if s > step), default=None)

    def after_steps(self, run):
        self.seen[run.step] = dict(run.metrics)

    def end(self, run):
        self.calls.append(f"end {run.step} {run.stop_reason}")

    def failed(self, run, error):
        self.calls.append(f"failed {run.step}")


def weights(model):
    return [v.numpy() for v in model.variables]


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


# The step is the model's


class TwiceTheLoss(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = 2 * self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return {"twice": loss, "nested": {"inner": loss + 1}}


def with_override():
    keras.utils.set_random_seed(7)
    return compiled(TwiceTheLoss([keras.Input((4,)), keras.layers.Dense(1)]), metrics=None)


def with_regularisation():
    keras.utils.set_random_seed(7)
    layers = [keras.Input((4,)), keras.layers.Dense(1, kernel_regularizer="l2", activity_regularizer="l1")]
    return compiled(keras.Sequential(layers))


def with_mask():
    keras.utils.set_random_seed(7)
    layers = [keras.Input((4, 1)), keras.layers.Masking(), keras.layers.SimpleRNN(2), keras.layers.Dense(1)]
    return compiled(keras.Sequential(layers))


def with_weights():
    return dense(weighted_metrics=["mse"])


def with_norm_and_dropout():
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3)]
    return compiled(keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)]))


def weighted():
    return tf.data.Dataset.from_tensor_slices((X, Y, np.arange(50, dtype="float32"))).batch(12)


def masked():
    x = X[:, :, None].copy()
    x[::2, 2:] = 0
    return tf.data.Dataset.from_tensor_slices((x, Y)).batch(12)


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (dense, batches),
        (with_override, batches),
        (with_regularisation, batches),
        (with_mask, masked),
        (with_weights, weighted),
        (with_norm_and_dropout, batches),
        (lambda: dense(run_eagerly=True), weighted),
    ],
)
def test_weights_and_metrics_are_those_of_fit_on_the_same_data(tmp_path, model, data):
    reference = model()
    history = reference.fit(data(), verbose=0, shuffle=False).history
    estimator = make(tmp_path, model, log_step_count_steps=None)
    reader = Reader()
    estimator.train(data, hooks=[reader])
    (metrics,) = reader.seen.values()
    assert metrics == pytest.approx({k: v[0] for k, v in history.items()}, rel=1e-6)
    with estimator.restored() as trained:
        for ours, theirs in zip(weights(trained), weights(reference), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_jit_compile_of_the_model_is_honoured_and_gives_the_results_of_fit(tmp_path):
    inside = []

    class Watching(keras.Sequential):
        def train_step(self, data):
            inside.append(tf.executing_eagerly())
            return super().train_step(data)

    def model():
        keras.utils.set_random_seed(7)
        return compiled(Watching([keras.Input((4,)), keras.layers.Dense(1)]), jit_compile=True)

    reference = model()
    reference.fit(batches(), verbose=0, shuffle=False)
    estimator = make(tmp_path, model)
    estimator.train(batches)
    loop = estimator._steps.train(batches().element_spec)
    graph = loop.args[0].graph
    functions = graph.as_graph_def().library.function
    assert any(f.attr["_XlaMustCompile"].b for f in functions)
    with estimator.restored() as trained:
        for ours, theirs in zip(weights(trained), weights(reference), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_run_eagerly_runs_the_step_as_python(tmp_path):
    eager = []

    class Watching(keras.Sequential):
        def train_step(self, data):
            eager.append(tf.executing_eagerly())
            return super().train_step(data)

    model = compiled(Watching([keras.Input((4,)), keras.layers.Dense(1)]), run_eagerly=True)
    make(tmp_path, model).train(batches, steps=3)
    assert eager == [True] * 3


def test_a_step_that_returns_a_lone_value_gives_it_as_the_loss(tmp_path):
    class Lone(keras.Sequential):
        def train_step(self, data):
            super().train_step(data)
            return tf.constant(3.5)

    reader = Reader()
    make(tmp_path, compiled(Lone([keras.Input((4,)), keras.layers.Dense(1)]))).train(batches, hooks=[reader])
    assert reader.seen == {5: {"loss": 3.5}}


def test_array_metrics_are_given_number_by_number(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "sigmoid")])
    compiled(model, loss="binary_crossentropy", metrics=[keras.metrics.F1Score(average=None)])
    reader = Reader()
    make(tmp_path, model).train(lambda: (X, np.hstack([Y > 0, Y < 0]).astype("float32")), hooks=[reader])
    (metrics,) = reader.seen.values()
    assert set(metrics) == {"loss", "f1_score_0", "f1_score_1"}
    assert all(type(v) is float for v in metrics.values())


# Counting


def test_input_that_ends_within_a_call_is_counted_exactly(tmp_path):
    estimator = make(tmp_path)
    reader = Reader()
    estimator.train(lambda: batches(47, 4), hooks=[reader])  # 12 batches, the last of 3
    assert list(reader.seen) == [12]
    assert reader.calls == ["begin", "end 12 input ended"]
    with estimator.restored() as model:
        assert int(model.optimizer.iterations) == 12


def test_steps_are_more_steps_and_max_steps_a_global_step(tmp_path):
    estimator = make(tmp_path)
    reader = Reader()
    assert estimator.train(forever, hooks=[reader], steps=3) is estimator
    estimator.train(forever, hooks=[reader], steps=3)
    estimator.train(forever, hooks=[reader], max_steps=10)
    assert list(reader.seen) == [3, 6, 10]


@pytest.mark.parametrize(
    "limits", [{"steps": 1, "max_steps": 1}, {"steps": 0}, {"max_steps": -1}, {"steps": 1.5}]
)
def test_limits_that_contradict_or_are_not_positive_are_value_errors(tmp_path, limits):
    with pytest.raises(ValueError, match="steps"):
        make(tmp_path).train(forever, **limits)


def test_already_at_max_steps_says_one_line_and_calls_nobody(tmp_path, caplog):
    make(tmp_path).train(forever, steps=5)

    def never():
        raise AssertionError("called")

    for again in (make(tmp_path), make(tmp_path).train(forever, max_steps=6)):
        reader = Reader()
        with caplog.at_level(logging.INFO):
            caplog.clear()
            again.train(never, hooks=[reader], max_steps=5)
        assert [m for m in caplog.messages if "max_steps=5" in m] == caplog.messages
        assert len(caplog.messages) == 1
        assert reader.calls == []


def test_one_trace_serves_every_number_of_steps_and_all_later_cycles(tmp_path, monkeypatch):
    built = []
    original = tf.while_loop
    monkeypatch.setattr(tf, "while_loop", lambda *a, **k: built.append(1) or original(*a, **k))
    steps = []

    class Counting(keras.Sequential):
        def train_step(self, data):
            steps.append(1)
            return super().train_step(data)

    estimator = make(tmp_path, compiled(Counting([keras.Input((4,)), keras.layers.Dense(1)])))

    def held_out():
        return X, Y

    estimator.train(forever, hooks=[Reader(every=3)], steps=7).evaluate(held_out)
    traced = len(steps)
    for n in range(1, 21):
        estimator.train(forever, steps=n).evaluate(held_out)
    assert len(built) == 2  # the training loop and the evaluation loop
    assert len(steps) == traced


# Metrics


def losses_of_batches():
    """Twenty-five batches of two examples whose loss is known, for a model that never changes."""
    return tf.data.Dataset.from_tensor_slices((X, np.zeros((50, 1), "float32"))).batch(2)


def unchanging():
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    return compiled(keras.Sequential([keras.Input((4,)), layer]), optimizer=keras.optimizers.SGD(0.0))


LOSSES = (X.sum(1) ** 2).reshape(25, 2).mean(1)


@pytest.mark.parametrize("cut", [Reader(25), Reader(3, 10, 11, 19, 20, 25), Reader(every=1), Reader(every=7)])
def test_a_metric_is_the_mean_since_the_last_multiple_of_the_window_however_calls_are_cut(tmp_path, cut):
    make(tmp_path, unchanging, log_step_count_steps=10).train(losses_of_batches, hooks=[cut])
    assert cut.seen[25]["loss"] == pytest.approx(LOSSES[20:].mean(), rel=1e-5)
    if 20 in cut.seen:
        assert cut.seen[20]["loss"] == pytest.approx(LOSSES[10:20].mean(), rel=1e-5)
    if 3 in cut.seen:
        assert cut.seen[3]["loss"] == pytest.approx(LOSSES[:3].mean(), rel=1e-5)
    assert all(type(v) is float for seen in cut.seen.values() for v in seen.values())


def test_without_a_window_a_metric_is_the_mean_since_training_began(tmp_path):
    reader = Reader()
    estimator = make(tmp_path, unchanging, log_step_count_steps=None)
    estimator.train(losses_of_batches, steps=5).train(losses_of_batches, hooks=[reader])
    assert reader.seen[25]["loss"] == pytest.approx(LOSSES.mean(), rel=1e-5)


def test_a_fresh_training_does_not_count_what_the_metrics_saw_before(tmp_path):
    model = unchanging()
    model.evaluate(X + 10, Y, verbose=0)
    reader = Reader()
    make(tmp_path, model, log_step_count_steps=None).train(losses_of_batches, hooks=[reader])
    assert reader.seen[25]["loss"] == pytest.approx(LOSSES.mean(), rel=1e-5)


def test_metrics_go_on_over_a_restart(tmp_path):
    make(tmp_path, unchanging, log_step_count_steps=10).train(losses_of_batches, steps=13)
    reader = Reader()
    make(tmp_path, unchanging, log_step_count_steps=10).train(losses_of_batches, hooks=[reader], steps=4)
    assert reader.seen[17]["loss"] == pytest.approx(LOSSES[10:17].mean(), rel=1e-5)


# Going on with the data


def last(estimator, input_fn, **limits):
    reader = Reader()
    estimator.train(input_fn, hooks=[reader], **limits)
    return max(reader.seen), reader.seen[max(reader.seen)]["last"]


def test_the_same_input_function_goes_on_where_the_last_call_left_it(tmp_path):
    estimator = make(tmp_path, echo)
    assert last(estimator, counted, steps=3) == (3, 3)
    estimator.evaluate(counted)
    assert last(estimator, counted, steps=4) == (7, 7)


def test_a_method_is_the_same_input_function_each_time_it_is_named(tmp_path):
    class Data:
        def input_fn(self):
            return counted()

    data, estimator = Data(), make(tmp_path, echo)
    assert last(estimator, data.input_fn, steps=3) == (3, 3)
    assert last(estimator, data.input_fn, steps=1) == (4, 4)
    assert last(estimator, Data().input_fn, steps=1) == (5, 1)


def test_another_input_function_begins_anew_and_one_line_says_so(tmp_path, caplog):
    estimator = make(tmp_path, echo)
    last(estimator, counted, steps=3)
    with caplog.at_level(logging.INFO):
        assert last(estimator, lambda: counted(), steps=2) == (5, 2)
    assert sum("begin anew" in m for m in caplog.messages) == 1


def test_input_that_ended_begins_anew_in_the_next_call(tmp_path):
    estimator = make(tmp_path, echo)
    assert last(estimator, counted) == (12, 12)
    assert last(estimator, counted, steps=5) == (17, 5)
    assert last(estimator, counted, steps=7) == (24, 12)  # exactly to the end, which is not seen yet
    assert last(estimator, counted, steps=1) == (25, 1)


def test_input_restored_at_its_end_begins_anew(tmp_path):
    last(make(tmp_path, echo), counted)
    assert last(make(tmp_path, echo), counted, steps=2) == (14, 2)


def test_a_generator_that_ended_is_asked_for_again(tmp_path):
    asked = []

    def generated():
        asked.append(1)
        return ((np.full((1, 1), i, "float32"),) * 2 for i in range(1, 4))

    estimator = make(tmp_path, echo)
    assert last(estimator, generated) == (3, 3)
    assert last(estimator, generated, steps=2) == (5, 2)
    assert last(estimator, generated, steps=1) == (6, 3)
    assert len(asked) == 2


def test_input_that_is_empty_only_when_read_is_an_error_before_any_checkpoint(tmp_path):
    reader = Reader()
    estimator = make(tmp_path)
    with pytest.raises(InvalidInput, match="no batch"):
        estimator.train(lambda: batches().filter(lambda x, y: False), hooks=[reader])
    assert reader.calls == ["begin", "failed 0"]
    assert estimator.checkpoints() == []


# Failures


def test_after_an_error_inside_a_step_the_next_call_starts_from_the_checkpoint(tmp_path):
    broken = [True]

    def generated():
        for i in range(1, 9):
            if i == 6 and broken[0]:
                raise OSError("disk")
            yield (np.full((1, 1), i, "float32"),) * 2

    def data():
        spec = tf.TensorSpec((None, 1))
        return tf.data.Dataset.from_generator(generated, output_signature=(spec, spec))

    estimator = make(tmp_path, echo, save_checkpoints_steps=3)
    with pytest.raises(tf.errors.OpError):
        estimator.train(data)
    broken[0] = False
    assert last(estimator, data, steps=1) == (4, 1)
    with estimator.restored() as model:
        assert int(model.optimizer.iterations) == 4


def test_an_error_of_a_hook_tells_all_hooks_and_loses_no_step(tmp_path):
    class Bad:
        def next_step(self, step):
            return 4

        def after_steps(self, run):
            raise RuntimeError("bad hook")

    reader, estimator = Reader(), make(tmp_path, echo)
    with pytest.raises(RuntimeError, match="bad hook"):
        estimator.train(counted, hooks=[reader, Bad()])
    assert reader.calls == ["begin", "failed 4"]
    assert last(estimator, counted, steps=1) == (5, 5)


def test_an_error_in_the_code_of_a_step_stays_what_it_is(tmp_path):
    class Bug(keras.Sequential):
        def train_step(self, data):
            raise ZeroDivisionError("mine")

    estimator = make(tmp_path, compiled(Bug([keras.Input((4,)), keras.layers.Dense(1)])))
    with pytest.raises(ZeroDivisionError, match="mine"):
        estimator.train(forever, steps=1)


# Hooks


def test_hooks_and_listeners_take_part(tmp_path):
    said = []

    class Listener:
        def before_save(self, session, step):
            said.append(("before", session, step))

        def after_save(self, session, step):
            said.append(("after", session, step))

    class Saves:
        def after_save(self, run, path):
            said.append((os.path.basename(path), run.model_dir, run.ending))

    estimator = make(tmp_path, save_checkpoints_steps=4)
    estimator.train(forever, hooks=[Saves()], steps=6, saving_listeners=[Listener()])
    run = str(tmp_path / "run")
    assert said == [
        ("before", None, 4),
        ("after", None, 4),
        ("ckpt-4", run, False),
        ("before", None, 6),
        ("after", None, 6),
        ("ckpt-6", run, True),
    ]


class Remembering:
    def __init__(self):
        self.given, self.state = None, {"n": 0}

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        self.state = {"n": self.state["n"] + 1}

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.given = self.state = state


def test_states_of_hooks_are_kept_with_the_checkpoint_and_given_back(tmp_path):
    estimator = make(tmp_path)
    estimator.train(forever, hooks=[Remembering()], steps=3)
    for again in (estimator, make(tmp_path)):
        hook = Remembering()
        before = 3 if again is estimator else 4
        again.train(forever, hooks=[hook], steps=1)
        assert hook.given == {"n": before}


def test_a_state_that_is_not_json_is_an_error_that_names_the_hook(tmp_path):
    hook = Remembering()
    hook.state = {"n": 0}
    hook.get_state = lambda: {"n": object()}
    with pytest.raises(InvalidType, match=r"Remembering.*JSON"):
        make(tmp_path).train(forever, hooks=[hook], steps=1)


class SessionHook:
    """Looks like tf.compat.v1.train.SessionRunHook."""

    def begin(self):
        raise AssertionError("called")

    def after_create_session(self, session, coord):
        raise AssertionError("called")


@pytest.mark.parametrize("hook", [object(), SessionHook()])
def test_what_is_no_hook_is_refused_before_the_first_step(tmp_path, hook):
    estimator = make(tmp_path)
    assert not estimator.supports_hook(hook)
    with pytest.raises(InvalidHook, match="hook"):
        estimator.train(forever, hooks=[hook], steps=1)
    assert not (tmp_path / "run").exists()


def test_expcore_hooks_and_keras_callbacks_are_supported(tmp_path):
    estimator = make(tmp_path)
    assert estimator.supports_hook(Reader())
    assert estimator.supports_hook(keras.callbacks.History())


# Settings


def test_importing_the_estimator_imports_neither_tensorflow_nor_keras():
    code = (
        "import sys, expcore_plugins.estimators.keras as k; k.KerasEstimator;"
        "print([m for m in ('tensorflow', 'keras', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_function_is_called_once_at_the_first_use(tmp_path):
    calls = []
    estimator = make(tmp_path, lambda: calls.append(1) or dense())
    assert calls == []
    estimator.train(forever, steps=1).train(forever, steps=1).evaluate(batches)
    assert calls == [1]


@pytest.mark.parametrize("model", [None, 3, SimpleNamespace(train_on_batch=1)])
def test_what_is_neither_a_model_nor_a_function_is_a_type_error(tmp_path, model):
    with pytest.raises(InvalidType, match=r"keras\.Model"):
        make(tmp_path, model)


def test_a_model_function_that_needs_arguments_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="'units'"):
        make(tmp_path, lambda units: dense())


def test_a_function_that_returns_no_model_is_a_type_error_at_the_first_use(tmp_path):
    with pytest.raises(InvalidType, match=r"list.*keras\.Model"):
        make(tmp_path, list).train(forever, steps=1)


def test_a_model_that_is_not_compiled_is_refused_with_the_next_step(tmp_path):
    bare = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(NotCompiled, match=r"model\.compile"):
        make(tmp_path, bare)
    estimator = make(tmp_path, lambda: bare)
    with pytest.raises(NotCompiled, match=r"model\.compile"):
        estimator.train(forever, steps=1)


def test_a_model_without_loss_is_refused_before_anything_is_written(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam")
    with pytest.raises(NotCompiled, match="loss="):
        make(tmp_path, model).train(forever, steps=1)
    assert not (tmp_path / "run").exists()


def refused(tmp_path, word):
    with pytest.raises(ExpcoreError, match=word):
        make(tmp_path).train(forever, steps=1)


def test_an_old_keras_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras, "__version__", "2.15.0")
    refused(tmp_path, r"Keras is 2\.15\.0.*pip install")


def test_an_old_tensorflow_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tf, "__version__", "2.19.1")
    refused(tmp_path, r"TensorFlow is 2\.19\.1.*pip install")


def test_another_backend_is_refused_also_where_its_library_is_not_installed(tmp_path):
    code = (
        "from expcore_plugins.estimators.keras import KerasEstimator\n"
        "try:\n    KerasEstimator(lambda: None, 'run').train(lambda: None, max_steps=1)\n"
        "except Exception as error:\n    print(error)\n"
    )
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    for more in ({"KERAS_BACKEND": "jax"}, {"KERAS_HOME": str(tmp_path)}):
        environ = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"} | more
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True, text=True
        )
        name = "torch" if "KERAS_HOME" in more else "jax"
        assert f"Keras runs on '{name}', it needs the backend 'tensorflow'" in done.stdout


def test_another_backend_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    refused(tmp_path, "'jax'.*KERAS_BACKEND=tensorflow")


def test_a_missing_tensorflow_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    refused(tmp_path, "cannot be imported.*pip install")


def test_the_directory_is_the_argument_or_the_configs(tmp_path):
    config = RunConfig(model_dir=str(tmp_path / "a"))
    assert KerasEstimator(dense, config=config).model_dir == str(tmp_path / "a")
    assert KerasEstimator(dense, config=config).config is config
    assert KerasEstimator(dense, tmp_path / "a", config).config is config
    open_config = RunConfig(save_checkpoints_steps=3)
    estimator = KerasEstimator(dense, tmp_path / "b", open_config)
    assert estimator.config == open_config.replace(model_dir=str(tmp_path / "b"))
    assert KerasEstimator(dense, tmp_path / "b").config.model_dir == str(tmp_path / "b")
    with pytest.raises(ValueError, match="give one of them"):
        KerasEstimator(dense, tmp_path / "b", config)


def test_without_a_directory_there_is_a_temporary_one_said_once(caplog):
    estimator = KerasEstimator(dense, config=RunConfig())
    assert os.path.isdir(estimator.model_dir)
    assert [m for m in caplog.messages if estimator.model_dir in m] == caplog.messages
    assert len(caplog.messages) == 1
    os.rmdir(estimator.model_dir)


@pytest.mark.parametrize("path", ["gs://bucket/run", "s3://bucket/run", ""])
def test_a_remote_directory_is_refused_with_advice(path):
    with pytest.raises(InvalidArgument, match="mount"):
        KerasEstimator(dense, path, RunConfig())


@pytest.mark.parametrize("path", ["runs/[a]", "what?", "all/*", "a\\b"])
def test_a_directory_that_tensorflow_could_not_read_again_is_refused(tmp_path, path):
    with pytest.raises(InvalidArgument, match="none of the characters"):
        KerasEstimator(dense, str(tmp_path / path))
    with pytest.raises(InvalidArgument, match="none of the characters"):
        KerasEstimator(dense, str(tmp_path)).with_model_dir(str(tmp_path / path))


def test_a_foreign_config_is_read_as_far_as_it_goes(tmp_path):
    config = SimpleNamespace(model_dir=None, save_checkpoints_steps=2, tf_random_seed=3)
    estimator = KerasEstimator(dense, tmp_path / "run", config)
    assert estimator.config.model_dir == str(tmp_path / "run")
    assert config.model_dir is None
    estimator.train(forever, steps=5)
    assert [os.path.basename(p) for p in estimator.checkpoints()] == ["ckpt-2", "ckpt-4", "ckpt-5"]


def test_a_strategy_for_evaluations_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="eval_distribute"):
        make(tmp_path, eval_distribute=tf.distribute.get_strategy())


@pytest.mark.parametrize("value", ["multi_worker", 2, object()])
def test_what_is_no_strategy_is_refused(tmp_path, value):
    with pytest.raises(InvalidArgument, match=r"train_distribute .*'mirrored', a tf.distribute.Mirrored"):
        make(tmp_path, train_distribute=value)


def test_a_strategy_in_a_cluster_is_refused(tmp_path):
    cluster = {"chief": ["127.0.0.1:2222"], "worker": ["127.0.0.1:2223"]}
    task = parse_tf_config({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    with pytest.raises(InvalidArgument, match="in a cluster of several training tasks"):
        make(tmp_path, train_distribute="mirrored", task=task)


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_steps_per_epoch_is_a_positive_number(tmp_path, value):
    with pytest.raises(InvalidArgument, match="steps_per_epoch"):
        KerasEstimator(dense, tmp_path, RunConfig(), steps_per_epoch=value)


def test_a_directory_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "run").write_text("a file")
    reader = Reader()
    with pytest.raises(CannotWrite, match="run"):
        make(tmp_path).train(forever, hooks=[reader], steps=1)
    assert reader.calls == []


def test_the_seed_decides_weights_and_the_order_of_the_data(tmp_path):
    def unseeded():
        return compiled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1)]))

    def shuffled():
        return batches().unbatch().shuffle(50).batch(5)

    def trained(name, seed, evaluated=None):
        estimator = make(tmp_path / name, unseeded, random_seed=seed)
        if evaluated:  # what an evaluation draws does not change the order of the training data
            estimator.evaluate(shuffled, checkpoint_path=evaluated)
        estimator.train(shuffled, steps=1).train(shuffled, steps=3)
        with estimator.restored() as model:
            return weights(model)

    first = trained("a", 1)
    assert_same(first, trained("b", 1))
    assert_same(first, trained("c", 1, evaluated=str(tmp_path / "a" / "run" / "ckpt-4")))
    assert any((one != other).any() for one, other in zip(first, trained("d", 2), strict=True))


def test_a_given_model_is_seeded_before_its_first_data(tmp_path):
    drawn = []

    def drawing():
        drawn.append(float(np.random.rand()))
        return X, Y

    for name in ("a", "b"):
        make(tmp_path / name, dense(), random_seed=5).train(drawing, steps=1)
    assert drawn[0] == drawn[1]
