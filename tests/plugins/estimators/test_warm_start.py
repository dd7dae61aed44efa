"""Warm start: where variables begin, and what is refused."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore.errors import CheckpointCorrupt, InvalidArgument, InvalidType, ModelMismatch
from expcore_plugins.estimators.keras import KerasEstimator, WarmStart

pytestmark = pytest.mark.tf

X = np.ones((8, 4), "float32")


class Frozen(keras.optimizers.SGD):
    """Changes nothing, so that one sees where weights began."""

    def __init__(self, **_):
        super().__init__(0.0)


def network(head="head", units=3, seed=1, name="net"):
    keras.utils.set_random_seed(seed)
    x = keras.Input((4,))
    encoded = keras.layers.Dense(units, name="encoder")(x)
    model = keras.Model(x, keras.layers.Dense(1, name=head)(encoded), name=name)
    model.compile(Frozen(), "mse")
    return model


def data():
    return X, X[:, :1]


def weights(estimator):
    with estimator.restored() as model:
        return {v.path: np.asarray(v) for v in model.variables}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    estimator = KerasEstimator(network(), folder / "run").train(data, steps=1)
    with estimator.restored() as model:
        model.save(folder / "model.keras")
        values = {v.path: v.value for v in model.variables}
        tf.train.Checkpoint(encoder_kernel=values["encoder/kernel"]).write(str(folder / "foreign"))
    return folder, weights(estimator)


def warmed(path, warm_start, **options):
    return KerasEstimator(network(seed=2, **options), path, warm_start=warm_start).train(data, steps=1)


@pytest.mark.parametrize("form", ["run", "run/ckpt-1", "model.keras"])
def test_every_variable_begins_there(tmp_path, source, form):
    folder, values = source
    ours = weights(warmed(tmp_path, str(folder / form)))
    assert ours.keys() == values.keys()
    assert all(np.array_equal(ours[name], values[name]) for name in values)


def test_a_pattern_chooses_and_the_rest_is_as_it_was_made(tmp_path, source):
    folder, values = source
    fresh = {v.path: np.asarray(v) for v in network(seed=2).variables}
    ours = weights(warmed(tmp_path, {"path": folder / "run", "variables": "encoder/.*"}))
    assert np.array_equal(ours["encoder/kernel"], values["encoder/kernel"])
    assert np.array_equal(ours["head/kernel"], fresh["head/kernel"])


def test_names_say_what_a_variable_is_called_there(tmp_path, source):
    folder, values = source
    warm = WarmStart(folder / "run", names={"top/kernel": "head/kernel", "top/bias": "head/bias"})
    ours = weights(warmed(tmp_path, warm, head="top"))
    assert np.array_equal(ours["top/kernel"], values["head/kernel"])


def test_a_checkpoint_of_another_program_is_read(tmp_path, source):
    folder, values = source
    warm = WarmStart(folder / "foreign", "encoder/kernel", {"encoder/kernel": "encoder_kernel"})
    ours = weights(warmed(tmp_path, warm))
    assert np.array_equal(ours["encoder/kernel"], values["encoder/kernel"])


def test_numbered_names_are_found_by_their_rest(tmp_path, source):
    def sequential(seed):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="only")])
        model.compile(Frozen(), "mse")
        return model

    first = KerasEstimator(sequential(1), tmp_path / "a").train(data, steps=1)
    second = KerasEstimator(sequential(2), tmp_path / "b", warm_start=tmp_path / "a").train(data, steps=1)
    for mine, theirs in zip(weights(second).values(), weights(first).values(), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["net", None])
def test_an_archive_of_a_sequential_model_has_the_names_of_its_layers_alone(tmp_path, name):
    def sequential():
        layers = [
            keras.Input((1,), name="x"),
            keras.layers.Dense(4, name="a"),
            keras.layers.Dense(1, name="b"),
        ]
        model = keras.Sequential(layers, name=name)
        model.compile("sgd", loss="mse")
        return model

    saved = sequential()
    saved.save(tmp_path / "model.keras")
    estimator = KerasEstimator(sequential, tmp_path / "run", warm_start=WarmStart(tmp_path / "model.keras"))
    estimator.train(lambda: (np.zeros((32, 1), "float32"), np.zeros((32, 1), "float32")), steps=1)
    with estimator.restored() as model:
        np.testing.assert_array_equal(model.get_layer("a").kernel, saved.get_layer("a").kernel)


def test_it_counts_only_where_there_is_no_checkpoint(tmp_path, source):
    folder, values = source
    first = KerasEstimator(network(seed=2), tmp_path).train(data, steps=1)
    before = weights(first)
    after = weights(warmed(tmp_path, folder / "run"))
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert not np.array_equal(after["encoder/kernel"], values["encoder/kernel"])


@pytest.mark.parametrize(
    ("warm", "error", "text"),
    [
        ({"path": "run", "variables": "nothing"}, InvalidArgument, "matches none of"),
        ({"path": "gone"}, InvalidArgument, "there is no checkpoint"),
        ({"path": "gone.keras"}, InvalidArgument, "no file|cannot be loaded"),
        ({"path": "."}, InvalidArgument, "no whole checkpoint"),
        ({"path": "foreign"}, ModelMismatch, "has no value for 'encoder/kernel'"),
        ({"path": "run", "names": {"a": "b"}}, InvalidArgument, "names has 'a'"),
        ({"path": "run", "names": {"head/kernel": "x"}}, ModelMismatch, "no value for 'head/kernel'"),
        ({"path": "broken.keras"}, CheckpointCorrupt, "cannot be loaded"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(tmp_path, source, warm, error, text):
    folder, _ = source
    (folder / "broken.keras").write_bytes(b"no archive")
    with pytest.raises(error, match=text):
        warmed(tmp_path, {**warm, "path": folder / warm["path"]})
    assert list(tmp_path.glob("ckpt*")) == []


def test_another_shape_is_told_and_nothing_changes(tmp_path, source):
    folder, _ = source
    model = network(seed=2, units=5)
    before = [np.asarray(v) for v in model.variables]
    with pytest.raises(ModelMismatch, match=r"'encoder/kernel' has shape \[4, 5\] and .* has \[4, 3\]"):
        KerasEstimator(model, tmp_path, warm_start=folder / "run").train(data, steps=1)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.variables, strict=True))


@pytest.mark.parametrize(
    ("warm", "error"),
    [
        (3, InvalidType),
        ("", InvalidArgument),
        ({"variables": "x"}, InvalidArgument),
        ({"path": "a", "vars": "x"}, InvalidArgument),
        ({"path": "a", "variables": "("}, InvalidArgument),
        ({"path": "a", "names": {"x": 1}}, InvalidType),
        ({"path": 5}, InvalidType),
    ],
)
def test_what_is_no_warm_start_is_refused_at_once(tmp_path, warm, error):
    with pytest.raises(error, match="warm_start"):
        KerasEstimator(network(), tmp_path, warm_start=warm)


def test_a_model_may_be_the_path_of_an_archive(tmp_path, source):
    folder, values = source
    keras.utils.get_custom_objects()["Frozen"] = Frozen
    try:
        estimator = KerasEstimator(str(folder / "model.keras"), tmp_path).train(data, steps=1)
        copied = estimator.with_model_dir(tmp_path / "copy").train(data, steps=1)
    finally:
        del keras.utils.get_custom_objects()["Frozen"]
    for one in (estimator, copied):
        assert all(np.array_equal(value, values[name]) for name, value in weights(one).items())


@pytest.mark.parametrize("path", ["model.h5", "model", "model.weights.h5"])
def test_a_model_of_another_format_is_refused(tmp_path, path):
    with pytest.raises(InvalidArgument, match=r"must end with '\.keras'"):
        KerasEstimator(path, tmp_path)


def test_an_archive_that_cannot_be_loaded_is_told(tmp_path):
    (tmp_path / "a.keras").write_bytes(b"no archive")
    with pytest.raises(InvalidArgument, match="cannot be loaded"):
        KerasEstimator(tmp_path / "a.keras", tmp_path / "run").train(data, steps=1)
