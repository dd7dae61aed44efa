"""ModuleEstimator: a tf.Module or plain functions through the same engine, without Keras."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import Experiment, RunConfig
from expcore.cluster import parse_tf_config
from expcore.errors import ClusterError, InvalidArgument, InvalidType, ModelMismatch, NotCompiled, NotCopyable
from expcore_plugins.estimators.engine.parts import parts
from expcore_plugins.estimators.module import Functions, ModuleEstimator

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5])).astype("float32")


class Line(tf.Module):
    def __init__(self, seed=None):
        super().__init__()
        self.w = tf.Variable(tf.zeros([3]))
        self.random = tf.random.Generator.from_seed(5)
        self.parts = {"momentum": [tf.Variable(tf.zeros([3]))]}

    def train_step(self, batch):
        x, y = batch
        x = x + 0.1 * self.random.normal(tf.shape(x))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.linalg.matvec(x, self.w) - y) ** 2)
        momentum = self.parts["momentum"][0]
        momentum.assign(0.9 * momentum - 0.05 * tape.gradient(loss, self.w))
        self.w.assign_add(momentum)
        return {"loss": loss, "first": x[0, 0]}

    def test_step(self, batch):
        x, y = batch
        return {"loss": tf.reduce_mean((tf.linalg.matvec(x, self.w) - y) ** 2)}

    def predict_step(self, x):
        return tf.linalg.matvec(x, self.w)


def data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(50, seed=2).repeat().batch(8)


def eval_data():
    return X, Y


def values(estimator):
    reader = tf.train.load_checkpoint(estimator.latest_checkpoint())
    return {
        key: np.asarray(reader.get_tensor(key)).tobytes()
        for key in reader.get_variable_to_shape_map()
        if not key.startswith("position")
    }


@pytest.mark.parametrize(
    "options", [{}, {"jit_compile": True}, {"run_eagerly": True}, {"async_checkpoints": True}]
)
def test_it_goes_on_exactly_with_generators_and_what_is_in_lists(tmp_path, options):
    config = RunConfig(random_seed=1, log_step_count_steps=7)
    straight = ModuleEstimator(Line, tmp_path / "a", config, **options).train(data, max_steps=30)
    for steps in (11, 20, 30):
        resumed = ModuleEstimator(Line, tmp_path / "b", config, **options).train(data, max_steps=steps)
    assert values(straight) == values(resumed)


def test_a_whole_experiment_learns_and_exports_nothing_of_keras(tmp_path):
    experiment = Experiment(
        ModuleEstimator(Line, tmp_path), data, eval_data, train_steps=200, eval_steps=None
    )
    result, _ = experiment.train_and_evaluate()
    assert result["loss"] < 0.05
    assert result["global_step"] == 200


def test_evaluation_is_the_mean_over_examples(tmp_path):
    estimator = ModuleEstimator(Line(), tmp_path).train(data, steps=5)
    with estimator.restored() as model:
        expected = np.mean((X @ model.w.numpy() - Y) ** 2)
    assert estimator.evaluate(eval_data)["loss"] == pytest.approx(expected, rel=1e-5)  # batches of 32 and 18


def test_training_metrics_are_means_over_the_window(tmp_path):
    class Number(tf.Module):
        def __init__(self):
            super().__init__()
            self.v = tf.Variable(0.0)

        def train_step(self, batch):
            self.v.assign_add(1.0)
            return self.v.read_value()

    seen = {}

    class Look:
        def next_step(self, step):
            return step + 1

        def after_steps(self, run):
            seen[run.step] = run.metrics["loss"]

    ModuleEstimator(Number, tmp_path, RunConfig(log_step_count_steps=4)).train(data, hooks=[Look()], steps=6)
    assert seen == {1: 1.0, 2: 1.5, 3: 2.0, 4: 2.5, 5: 5.0, 6: 5.5}


def test_plain_functions_with_variables(tmp_path):
    w = tf.Variable(tf.zeros([3]))
    optimizer = keras.optimizers.Adam(0.1)

    def train_step(batch):
        x, y = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((tf.linalg.matvec(x, w) - y) ** 2)
        optimizer.apply(tape.gradient(loss, [w]), [w])
        return loss

    functions = Functions(train_step, [w, optimizer], predict_step=lambda x: tf.linalg.matvec(x, w))
    estimator = ModuleEstimator(functions, tmp_path).train(data, steps=150)
    assert list(estimator.predict(eval_data)) == pytest.approx(list(Y), abs=0.2)
    with pytest.raises(NotCompiled, match="no test_step"):
        estimator.evaluate(eval_data)
    reader = tf.train.load_checkpoint(estimator.latest_checkpoint())
    sections = {key.split("/")[0] for key in reader.get_variable_to_shape_map()}
    assert {"model", "optimizer", "metrics"} <= sections


def test_what_a_step_uses_besides_is_saved_as_well(tmp_path):
    def make():
        hidden = tf.Variable(1.0)
        w = tf.Variable(0.0)

        def train_step(batch):
            hidden.assign(hidden * 2.0)
            w.assign_add(hidden)
            return hidden.read_value()

        return Functions(train_step, [w])

    for steps in (3, 6):
        estimator = ModuleEstimator(make, tmp_path, RunConfig(log_step_count_steps=1)).train(
            data, max_steps=steps
        )
    assert values(estimator)["extra/0/.ATTRIBUTES/VARIABLE_VALUE"] == np.float32(64.0).tobytes()


def test_another_process_evaluates_what_a_step_uses_besides(tmp_path, caplog):
    class Helper:
        def __init__(self):
            self.w = tf.Variable([0.0], name="w")

    class Outside(tf.Module):
        def __init__(self):
            super().__init__()
            self.helper = Helper()
            self.own = tf.Variable(0.0)

        def train_step(self, batch):
            self.helper.w.assign_add([1.0])
            return {"loss": self.helper.w[0]}

        def test_step(self, batch):
            return {"loss": self.helper.w[0]}

    ModuleEstimator(Outside, tmp_path).train(data, max_steps=5)
    evaluator = ModuleEstimator(Outside, tmp_path)
    assert evaluator.evaluate(data, steps=1)["loss"] == 5.0
    with ModuleEstimator(Outside, tmp_path).restored():
        assert "holds 'w:0' besides the model's variables" in caplog.text


def test_a_name_that_two_variables_have_tells_no_place(tmp_path, caplog):
    class Outside(tf.Module):
        def __init__(self):
            super().__init__()
            self.own = tf.Variable(0.0)
            self.hidden = type("Helper", (), {})()
            self.hidden.a, self.hidden.b = tf.Variable(1.0, name="w"), tf.Variable(2.0, name="w")

        def train_step(self, batch):
            self.hidden.a.assign_add(10.0)
            return {"loss": self.hidden.a + self.hidden.b}

        def test_step(self, batch):
            return {"loss": self.hidden.b}

    ModuleEstimator(Outside, tmp_path).train(data, max_steps=1)
    assert ModuleEstimator(Outside, tmp_path).evaluate(data, steps=1)["loss"] == 2.0
    assert "holds 'w:0', 'w:0' besides" in caplog.text


def test_another_optimizer_in_a_module_is_refused(tmp_path):
    def module(optimizer):
        class Own(tf.Module):
            def __init__(self):
                super().__init__()
                self.w = keras.Variable([0.0], name="w")
                self.optimizer = optimizer(0.1)
                self.optimizer.build([self.w])

            def train_step(self, batch):
                self.optimizer.apply([tf.constant([1.0])], [self.w])
                return {"loss": self.w.value[0]}

        return Own

    ModuleEstimator(module(keras.optimizers.Adagrad), tmp_path).train(data, max_steps=1)
    with pytest.raises(ModelMismatch, match=r"another optimizer: it has optimizer/adagrad\S* where there is"):
        ModuleEstimator(module(keras.optimizers.RMSprop), tmp_path).train(data, max_steps=2)


def test_variables_are_called_after_the_attributes_that_hold_them():
    assert [n.path for part in parts(Line()) for n in part.variables] == ["parts/momentum/0", "random", "w"]


def test_they_are_saved_in_the_order_of_their_use_which_every_process_has(tmp_path):
    hidden = [tf.Variable(float(n)) for n in range(20)]

    def train_step(batch):
        for v in hidden:
            v.assign_add(100.0)
        return hidden[0].read_value()

    estimator = ModuleEstimator(Functions(train_step), tmp_path).train(data, max_steps=1)
    saved = values(estimator)
    order = [np.frombuffer(saved[f"extra/{i}/.ATTRIBUTES/VARIABLE_VALUE"], "float32")[0] for i in range(20)]
    assert order == [100.0 + n for n in range(20)]


def test_a_saved_model_of_its_own_functions(tmp_path):
    from expcore_plugins.exporters.saved_model import SavedModel

    class Served(Line):
        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
        def serve(self, x):
            return {"y": self.predict_step(x)}

    estimator = ModuleEstimator(Served, tmp_path / "run").train(data, steps=5)
    (tmp_path / "out").mkdir()
    SavedModel().write(estimator, str(tmp_path / "out"))
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    served = loaded.signatures["serving_default"](x=tf.constant(X))["y"]
    assert served.numpy() == pytest.approx(np.asarray(list(estimator.predict(eval_data))))


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        (3, InvalidType, "train_step"),
        (Line, None, ""),
        (tf.Module(), InvalidType, "train_step"),
        (lambda units: None, InvalidArgument, "'units'"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, model, error, text):
    if error is None:
        ModuleEstimator(model, tmp_path)
        return
    with pytest.raises(error, match=text):
        ModuleEstimator(model, tmp_path)


def test_a_function_that_returns_no_model_is_told(tmp_path):
    with pytest.raises(InvalidType, match="must have train_step"):
        ModuleEstimator(lambda: 3, tmp_path).train(data, steps=1)


@pytest.mark.parametrize("returned", [{"a": [1.0, 2.0]}, {1: 2.0}, {"a": tf.data.Dataset}])
def test_a_step_that_returns_something_else_is_told(tmp_path, returned):
    functions = Functions(lambda batch: returned, [])
    with pytest.raises(InvalidType, match="train_step: it returned"):
        ModuleEstimator(functions, tmp_path).train(data, steps=1)


@pytest.mark.parametrize(
    "options", [{"jit_compile": 1}, {"run_eagerly": None}, {"jit_compile": True, "run_eagerly": True}]
)
def test_switches_are_checked(tmp_path, options):
    with pytest.raises(InvalidArgument, match="ModuleEstimator"):
        ModuleEstimator(Line, tmp_path, **options)


def test_only_what_a_function_makes_can_be_copied(tmp_path):
    assert ModuleEstimator(Line, tmp_path).with_model_dir(tmp_path / "b").model_dir == str(tmp_path / "b")
    with pytest.raises(NotCopyable, match="a function that returns it"):
        ModuleEstimator(Line(), tmp_path).with_model_dir(tmp_path / "b")


def test_keras_need_not_be_installed(tmp_path):
    program = """
import sys
sys.modules["keras"] = None
import tensorflow as tf
from expcore_plugins.estimators.module import ModuleEstimator, Functions
v = tf.Variable(0.)
def step(batch):
    v.assign_add(tf.reduce_sum(batch)); return v.read_value()
e = ModuleEstimator(Functions(step, [v], step), sys.argv[1])
data = lambda: tf.data.Dataset.range(8).map(lambda i: tf.cast(i, tf.float32)).batch(2)
e.train(data, steps=2); e.evaluate(data)
sys.exit(sys.modules["keras"] is not None)
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("more", [{}, {"ps": ["127.0.0.1:2224"]}])
def test_a_task_of_several_that_train_is_refused_before_anything_is_written(tmp_path, more):
    cluster = {"chief": ["127.0.0.1:2222"], "worker": ["127.0.0.1:2223"], **more}
    task = parse_tf_config({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    estimator = ModuleEstimator(Line, tmp_path / "run", RunConfig(task=task))
    with pytest.raises(ClusterError, match="the cluster has 2 training tasks"):
        estimator.train(data, steps=1)
    assert not (tmp_path / "run").exists()


def test_several_devices_are_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="train_distribute is 'mirrored'; it trains on one device"):
        ModuleEstimator(Line, tmp_path, RunConfig(train_distribute="mirrored"))
