"""Checkpoints of the Keras estimator: what they hold, which there are, damage, and going on from one."""

from __future__ import annotations

import logging
import os
import resource
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import Experiment, RunConfig
from expcore.errors import CannotWrite, CheckpointCorrupt, ModelMismatch
from expcore.testing import PluginSandbox, VirtualClock
from expcore_plugins.estimators.engine import directory as d
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def arrays():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(2).repeat()


def dense(units=3, optimizer="adam", metrics=("mae",)):
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, "relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, "mse", metrics=list(metrics))
    return model


def make(tmp_path, model=dense, **config):
    return KerasEstimator(model, tmp_path / "run", RunConfig(**config), clock=VirtualClock())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A directory with checkpoints of steps 2, 4 and 6; copied by those who damage it."""
    path = tmp_path_factory.mktemp("trained")
    make(path, save_checkpoints_steps=2).train(arrays, steps=6)
    return path / "run"


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def names(paths):
    return [os.path.basename(p) for p in paths]


def values(estimator, path=None):
    with estimator.restored(path) as model:
        return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def everything(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


# What is written


def test_a_checkpoint_is_tensorflows_and_named_after_its_step(run):
    assert tf.train.latest_checkpoint(str(run)) == str(run / "ckpt-6")
    assert {"ckpt-6.index", "ckpt-6.data-00000-of-00001", "checkpoint"} <= set(os.listdir(run))


def test_it_holds_step_model_with_seeds_optimizer_metrics_input_and_hooks(run):
    model = dense()
    model.optimizer.build(model.trainable_variables)
    counts = {}
    for key in tf.train.load_checkpoint(str(run / "ckpt-6")).get_variable_to_shape_map():
        counts[key.split("/")[0]] = counts.get(key.split("/")[0], 0) + 1
    assert counts["model"] == len(model.variables) == 5  # with the state of Dropout's seed generator
    assert counts["optimizer"] == len(model.optimizer.variables) == 10
    assert counts["metrics"] == 4
    assert counts["step"] == counts["position"] == counts["about"] == 1


def test_checkpoints_are_listed_oldest_first_and_the_latest_is_the_last(trained):
    estimator = make(trained.parent)
    assert names(estimator.checkpoints()) == ["ckpt-2", "ckpt-4", "ckpt-6"]
    assert estimator.latest_checkpoint() == str(trained / "ckpt-6")


def test_a_directory_that_is_not_there_has_no_checkpoint(tmp_path):
    assert make(tmp_path).checkpoints() == []
    assert make(tmp_path).latest_checkpoint() is None


@pytest.mark.parametrize(("keep", "left"), [(2, [3, 4]), (0, [1, 2, 3, 4]), (None, [1, 2, 3, 4])])
def test_as_many_are_kept_as_the_config_says(tmp_path, keep, left):
    estimator = make(tmp_path, save_checkpoints_steps=1, keep_checkpoint_max=keep)
    estimator.train(arrays, steps=4)
    assert names(estimator.checkpoints()) == [f"ckpt-{n}" for n in left]
    assert sorted(p.stem for p in (tmp_path / "run").glob("*.index")) == [f"ckpt-{n}" for n in left]


def test_one_every_so_many_hours_is_kept_for_ever(tmp_path):
    estimator = make(
        tmp_path, save_checkpoints_steps=1, keep_checkpoint_max=1, keep_checkpoint_every_n_hours=1e-12
    )
    estimator.train(arrays, steps=3)
    assert sorted(p.stem for p in (tmp_path / "run").glob("*.index")) == ["ckpt-1", "ckpt-2", "ckpt-3"]


def test_retention_counts_the_checkpoints_of_former_runs_even_without_their_state_file(run):
    (run / "checkpoint").unlink()
    estimator = make(run.parent, keep_checkpoint_max=2)
    estimator.train(arrays, steps=1)
    assert sorted(p.stem for p in run.glob("*.index")) == ["ckpt-6", "ckpt-7"]


# Which there are


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"garbage { :",
        b"\xff\xfe\x00",
        b'model_checkpoint_path: "ckpt-99"\nall_model_checkpoint_paths: "ckpt-99"\n',
    ],
)
def test_where_the_state_file_says_nothing_right_the_files_count(run, content):
    (run / "checkpoint").unlink()
    if content is not None:
        (run / "checkpoint").write_bytes(content)
    estimator = make(run.parent)
    assert names(estimator.checkpoints()) == ["ckpt-2", "ckpt-4", "ckpt-6"]
    estimator.train(arrays, steps=1)
    assert names(estimator.checkpoints()) == ["ckpt-2", "ckpt-4", "ckpt-6", "ckpt-7"]


def test_files_are_ordered_by_step_not_by_name(run):
    for path in run.glob("ckpt-4.*"):
        path.rename(run / path.name.replace("-4.", "-10."))
    (run / "checkpoint").unlink()
    assert names(make(run.parent).checkpoints()) == ["ckpt-2", "ckpt-6", "ckpt-10"]


def test_the_state_file_counts_after_a_rollback(run):
    (run / "checkpoint").write_text('model_checkpoint_path: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-4"\n')
    estimator = make(run.parent)
    assert names(estimator.checkpoints()) == ["ckpt-4"]
    estimator.train(arrays, max_steps=5)
    assert names(estimator.checkpoints()) == ["ckpt-4", "ckpt-5"]


def test_a_moved_directory_has_its_checkpoints(run):
    (run / "checkpoint").write_text('model_checkpoint_path: "/gone/ckpt-6"\n')
    assert make(run.parent).latest_checkpoint() == str(run / "ckpt-6")


@pytest.mark.parametrize("part", ["ckpt-6.index", "ckpt-6.data-00000-of-00001"])
def test_a_checkpoint_with_a_part_missing_does_not_count(run, part):
    (run / part).unlink()
    assert names(make(run.parent).checkpoints()) == ["ckpt-2", "ckpt-4"]


def test_all_shards_must_be_there(tmp_path):
    for name in ("ckpt-1.index", "ckpt-1.data-00000-of-00002"):
        (tmp_path / name).touch()
    assert not d.is_complete(str(tmp_path / "ckpt-1"))
    (tmp_path / "ckpt-1.data-00001-of-00002").touch()
    assert d.is_complete(str(tmp_path / "ckpt-1"))


def test_directories_of_saves_that_were_cut_short_are_swept_at_the_start(run):
    (run / "ckpt-8_temp").mkdir()
    (run / "ckpt-8_temp" / "part").touch()
    (run / "mine_temp").mkdir()
    make(run.parent).train(arrays, steps=1)
    assert not (run / "ckpt-8_temp").exists()
    assert (run / "mine_temp").exists()


# Going on


def test_a_new_estimator_goes_on_with_every_variable(run):
    first = make(run.parent)
    wanted = values(first)
    second = make(run.parent)
    second.train(arrays, steps=1)
    again = values(second, str(run / "ckpt-6"))
    for one, other in zip(wanted, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert int(second.evaluate(arrays, steps=1)["global_step"]) == 7


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


def bit(path):
    """Flips one bit in a weight: what else lies in the file, and where, hangs on names."""
    reader = tf.train.load_checkpoint(str(path).partition(".data")[0])
    key = next(k for k in sorted(reader.get_variable_to_shape_map()) if k.startswith("model/"))
    content = bytearray(path.read_bytes())
    at = content.find(reader.get_tensor(key).tobytes())
    assert at >= 0
    content[at] ^= 1
    path.write_bytes(bytes(content))


DATA, INDEX = "ckpt-6.data-00000-of-00001", "ckpt-6.index"
DAMAGE = [
    (DATA, cut),
    (DATA, lambda path: path.write_bytes(b"")),
    (DATA, bit),
    (INDEX, cut),
    (INDEX, lambda path: path.write_bytes(b"")),
    (INDEX, lambda path: path.write_bytes(b"\xff" * 100)),
]


@pytest.mark.parametrize(("part", "damage"), DAMAGE)
def test_training_falls_back_to_an_older_checkpoint_with_one_line(run, caplog, part, damage):
    damage(run / part)
    estimator = make(run.parent)
    with caplog.at_level(logging.WARNING, "expcore_plugins"):
        estimator.train(arrays, steps=1)
    told = [r.getMessage() for r in caplog.records if r.name.startswith("expcore_plugins")]
    assert len(told) == 1
    assert "ckpt-6" in told[0]
    assert "\n" not in told[0]
    assert names(estimator.checkpoints())[-1] == "ckpt-5"


@pytest.mark.parametrize(("part", "damage"), DAMAGE)
def test_reading_a_damaged_checkpoint_is_one_kind_of_error_and_touches_nothing(run, part, damage):
    estimator = make(run.parent)
    before = values(estimator)
    live = [v.numpy() for v in estimator._state.trainable.native.variables]
    damage(run / part)
    path = str(run / "ckpt-6")
    with pytest.raises(CheckpointCorrupt, match="ckpt-6"), estimator.restored(path):
        pass
    with pytest.raises(CheckpointCorrupt, match="ckpt-6"):
        estimator.evaluate(arrays, steps=1, checkpoint_path=path)
    with pytest.raises(CheckpointCorrupt, match="ckpt-6"):
        next(iter(estimator.predict(arrays, checkpoint_path=path)))
    for one, other in zip(live, estimator._state.trainable.native.variables, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    assert len(before) == 15


def test_a_vanished_checkpoint_is_corrupt(run):
    estimator = make(run.parent)
    with pytest.raises(CheckpointCorrupt, match="ckpt-3' is not there"):
        estimator.evaluate(arrays, steps=1, checkpoint_path=str(run / "ckpt-3"))


def test_when_all_are_corrupt_training_does_not_begin_afresh(run):
    for path in run.glob("*.data*"):
        cut(path)
    before = everything(run)
    with pytest.raises(CheckpointCorrupt, match="none of the 3"):
        make(run.parent).train(arrays, steps=1)
    assert everything(run) == before


@pytest.mark.parametrize("lost", ["*.data*", "*.index", "ckpt-*"])
def test_when_parts_of_all_are_lost_training_does_not_begin_afresh(run, lost):
    for path in run.glob(lost):
        path.unlink()
    with pytest.raises(CheckpointCorrupt, match="no whole checkpoint"):
        make(run.parent).train(arrays, steps=1)


def changed_layer():
    return dense(units=5)


def more_layers():
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(1) for _ in range(4))])
    model.compile("adam", "mse")
    return model


def other_optimizer():
    return dense(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (changed_layer, r"another model: it has \S+ float32\[4, 3\] where there is \S+ float32\[4, 5\] now"),
        (more_layers, "another model"),
        (other_optimizer, "another optimizer"),
    ],
)
def test_a_checkpoint_of_another_model_is_told_and_nothing_on_disk_touched(run, model, said):
    before = everything(run)
    with pytest.raises(ModelMismatch, match=said):
        make(run.parent, model).train(arrays, steps=1)
    assert everything(run) == before


def two_layers(first, second):
    model = keras.Sequential(
        [keras.Input((4,)), *(keras.layers.Dense(4, name=name) for name in (first, second))], name="net"
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return model


def rmsprop():
    model = two_layers("a", "b")
    model.compile(keras.optimizers.RMSprop(0.1), "mse")
    return model


def test_shapes_that_are_the_same_make_no_other_optimizer_and_no_other_order_fit(tmp_path):
    make(tmp_path, lambda: two_layers("a", "b")).train(arrays, steps=2)
    before = everything(tmp_path / "run")
    with pytest.raises(ModelMismatch, match=r"another optimizer: it has sgd\S+ where there is rm_?sprop"):
        make(tmp_path, rmsprop).train(arrays, steps=1)
    with pytest.raises(ModelMismatch, match=r"another model: it has \S*a/kernel where there is \S*b/"):
        make(tmp_path, lambda: two_layers("b", "a")).train(arrays, steps=1)
    assert everything(tmp_path / "run") == before
    assert make(tmp_path, lambda: two_layers("x", "y")).train(arrays, steps=1).latest_checkpoint()


def test_evaluating_a_checkpoint_of_another_model_is_told(run):
    with pytest.raises(ModelMismatch, match="another model"):
        make(run.parent, changed_layer).evaluate(arrays, steps=1)


def test_evaluating_does_not_ask_for_the_same_optimizer(run):
    assert make(run.parent, other_optimizer).evaluate(arrays, steps=1)["global_step"] == 6


def test_other_metrics_are_no_other_model_and_begin_anew(run, caplog):
    with caplog.at_level(logging.INFO):
        estimator = make(run.parent, lambda: dense(metrics=["mae", "mape"])).train(arrays, steps=1)
    assert any("other metrics" in m for m in caplog.messages)
    assert estimator.evaluate(arrays, steps=1)["global_step"] == 7


def test_a_checkpoint_of_something_else_is_told(tmp_path):
    (tmp_path / "run").mkdir()
    foreign = tf.train.Checkpoint(a=tf.Variable(1.0))
    tf.train.CheckpointManager(foreign, str(tmp_path / "run"), 3).save(5)
    with pytest.raises(ModelMismatch, match="not written by an estimator of expcore"):
        make(tmp_path).train(arrays, steps=1)


class TwoOptimizers(keras.Model):
    def __init__(self):
        super().__init__()
        self.a, self.b = keras.layers.Dense(1), keras.layers.Dense(1)
        self.optimizer_b = keras.optimizers.Adam(0.1)

    def call(self, x):
        return self.a(x) + self.b(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = self.compute_loss(x, y, self(x))
        for optimizer, part in ((self.optimizer, self.a), (self.optimizer_b, self.b)):
            found = part.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, found), found, strict=True))
        return {"loss": loss}


def two_optimizers():
    keras.utils.set_random_seed(7)
    model = TwoOptimizers()
    model.compile("adam", "mse")
    return model


def test_every_optimizer_of_a_model_with_several_is_kept(tmp_path):
    straight = make(tmp_path / "a", two_optimizers).train(arrays, steps=6)
    make(tmp_path / "b", two_optimizers).train(arrays, steps=3)
    resumed = make(tmp_path / "b", two_optimizers).train(arrays, steps=3)
    for one, other in zip(values(straight), values(resumed), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


# The position in the input


class Echo(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(x)

    def train_step(self, data):
        super().train_step(data)
        return {"last": data[0][-1, 0]}


def echo():
    model = Echo()
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    return model


def numbers():
    x = np.arange(1, 21, dtype="float32")[:, None]
    return tf.data.Dataset.from_tensor_slices((x, x)).batch(1)


class Last:
    def after_steps(self, run):
        self.seen = run.metrics["last"]


def last(estimator, data, steps):
    hook = Last()
    estimator.train(data, hooks=[hook], steps=steps)
    return hook.seen


def test_the_position_in_the_data_is_saved_and_restored(tmp_path):
    assert last(make(tmp_path, echo), numbers, 5) == 5
    assert last(make(tmp_path, echo), numbers, 3) == 8


def test_data_made_by_python_begin_anew_after_a_restart_and_that_is_said_once(tmp_path, caplog):
    def generated():
        return ((np.full((1, 1), i, "float32"),) * 2 for i in range(1, 21))

    estimator = make(tmp_path, echo)
    assert last(estimator, generated, 5) == 5
    assert last(estimator, generated, 5) == 10
    last(estimator, lambda: generated(), 1)
    said = [r for r in caplog.records if r.levelno == logging.WARNING and r.name.startswith("expcore")]
    assert len(said) == 1
    assert "after a restart the data begin anew" in said[0].getMessage()
    assert last(make(tmp_path, echo), generated, 3) == 3


def test_a_position_that_does_not_fit_other_data_is_told_and_they_begin_anew(tmp_path, caplog):
    last(make(tmp_path, echo), numbers, 5)
    assert last(make(tmp_path, echo), lambda: numbers().map(lambda x, y: (x, y)).shuffle(1), 2) == 2
    assert any("does not fit the data" in m for m in caplog.messages)


# What cannot be written


class limited:
    """No file may grow beyond so many bytes, as on a full disk."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_full_disk_at_the_start_is_an_error_before_training(run):
    calls = []

    class Hook:
        def begin(self, run):
            calls.append("begin")

    estimator = make(run.parent)
    with limited(0), pytest.raises(CannotWrite, match="run"):
        estimator.train(arrays, hooks=[Hook()], steps=1)
    assert calls == []


def test_a_save_that_fails_names_its_path_and_leaves_the_older_ones_intact(run):
    before = everything(run)
    estimator = make(run.parent)
    with limited(1000), pytest.raises(CannotWrite, match=r"ckpt-7.*older checkpoints"):
        estimator.train(arrays, steps=1)
    assert everything(run) == before
    assert not list(run.glob("*_temp"))
    estimator.train(arrays, steps=1)
    assert names(estimator.checkpoints())[-1] == "ckpt-8"
    assert make(run.parent).evaluate(arrays, steps=1)["global_step"] == 8


def test_after_falling_back_the_log_has_the_true_start_and_what_is_written_again_is_evaluated(tmp_path):
    def experiment(train_steps):
        estimator = make(tmp_path, save_checkpoints_steps=2, keep_checkpoint_max=None)
        host = PluginSandbox(builtins=True).host
        clock = VirtualClock()
        return Experiment(
            estimator, arrays, arrays, train_steps, 1, eval_every_n_steps=2, plugins=host, clock=clock
        )

    experiment(6).train_and_evaluate()
    cut(tmp_path / "run" / "ckpt-6.data-00000-of-00001")
    again = experiment(8)
    again.train_and_evaluate()
    history = again.history
    assert [run.step for run in history.trainings] == [0, 4]
    assert [end.steps for end in history.training_ends] == [6, 4]
    assert [e.step for e in history.evaluations] == [2, 4, 6, 6, 8]
