"""The format "saved_model": named signatures, the asked-for checkpoint, loadable without expcore."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from expcore.errors import CannotWrite, InvalidArgument, InvalidType, NotTrained
from expcore.testing.clock import VirtualClock
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.saved_model import SavedModel

pytestmark = pytest.mark.tf


class Estimator:
    """Keeps weights by checkpoint, swaps them in and puts the training state back."""

    def __init__(self, model):
        self.model, self.saved = model, {}

    def save(self, path, add=0.0):
        self.saved[path] = [w + add for w in self.model.get_weights()]

    @contextmanager
    def restored(self, checkpoint_path=None):
        if checkpoint_path is not None and checkpoint_path not in self.saved:
            raise NotTrained(f"no checkpoint {checkpoint_path}")
        training = self.model.get_weights()
        self.model.set_weights(self.saved.get(checkpoint_path, training))
        try:
            yield self.model
        finally:
            self.model.set_weights(training)


def dense(name="image"):
    from keras import Input, Sequential, layers

    return Sequential([Input((4,), name=name), layers.Dense(3), layers.Dense(2)])


def load(path):
    import tensorflow as tf

    return tf.saved_model.load(str(path))


BATCH = np.arange(20, dtype="float32").reshape(5, 4)


def test_the_published_model_serves_the_inputs_under_their_names(tmp_path):
    model = dense()
    path = Latest(SavedModel()).export(Estimator(model), str(tmp_path), clock=VirtualClock(7))
    assert path == str(tmp_path / "7")
    loaded = load(path)
    assert set(loaded.signatures) == {"serving_default"}
    serve = loaded.signatures["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["image"]
    np.testing.assert_allclose(serve(image=BATCH)["output_0"], model(BATCH), rtol=1e-6)
    np.testing.assert_allclose(serve(image=BATCH[:1])["output_0"], model(BATCH[:1]), rtol=1e-6)


ELSEWHERE = """
import json, sys
sys.modules["expcore"] = sys.modules["expcore_plugins"] = sys.modules["keras"] = None
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
batch = np.arange(20, dtype="float32").reshape(5, 4)
print(json.dumps(loaded.signatures["serving_default"](image=tf.constant(batch))["output_0"].numpy().tolist()))
"""


def test_it_loads_in_a_process_that_has_neither_expcore_nor_keras(tmp_path):
    model = dense()
    SavedModel().write(Estimator(model), str(tmp_path / "model"))
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "model")]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), model(BATCH), rtol=1e-5)


def test_an_older_checkpoint_is_written_with_its_weights_and_the_training_state_stays(tmp_path):
    model = dense()
    estimator = Estimator(model)
    estimator.save("ckpt-1", add=1.0)
    before = model.get_weights()
    SavedModel().write(estimator, str(tmp_path / "old"), checkpoint_path="ckpt-1")
    SavedModel().write(estimator, str(tmp_path / "new"))
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    new = load(tmp_path / "new").signatures["serving_default"](image=BATCH)["output_0"]
    old = load(tmp_path / "old").signatures["serving_default"](image=BATCH)["output_0"]
    np.testing.assert_allclose(new, model(BATCH), rtol=1e-6)
    with estimator.restored("ckpt-1"):
        np.testing.assert_allclose(old, model(BATCH), rtol=1e-6)


def test_the_estimators_error_for_a_checkpoint_that_is_not_there_goes_through(tmp_path):
    with pytest.raises(NotTrained, match="no checkpoint ckpt-9"):
        Latest(SavedModel()).export(Estimator(dense()), str(tmp_path), checkpoint_path="ckpt-9")
    assert os.listdir(tmp_path) == []


def test_given_names_are_those_of_the_signature(tmp_path):
    SavedModel(input_names=["pixels"]).write(Estimator(dense()), str(tmp_path / "m"))
    serve = load(tmp_path / "m").signatures["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["pixels"]


def two_inputs():
    from keras import Input, Model, layers

    identity, values = Input((), name="id", dtype="int32"), Input((4,), name="values")
    joined = layers.Concatenate()([layers.Embedding(9, 3)(identity), values])
    return Model({"id": identity, "values": values}, {"score": layers.Dense(2)(joined)})


def spec():
    import tensorflow as tf

    return {
        "id": tf.io.FixedLenFeature([], tf.int64),
        "values": tf.io.FixedLenFeature([4], tf.float32),
        "unused": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }


def examples(ids):
    import tensorflow as tf

    def one(i):
        features = {
            "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[i])),
            "values": tf.train.Feature(float_list=tf.train.FloatList(value=[i, 1, 2, 3])),
        }
        return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()

    return tf.constant([one(i) for i in ids])


@pytest.mark.parametrize("given", ["mapping", "function"])
def test_a_feature_spec_adds_signatures_for_serialized_examples_and_predict(tmp_path, given):
    model = two_inputs()
    form = SavedModel(feature_spec=spec() if given == "mapping" else spec)
    form.write(Estimator(model), str(tmp_path / "m"))
    loaded = load(tmp_path / "m")
    assert set(loaded.signatures) == {"serving_default", "predict", "examples"}
    ids = np.array([1, 2, 5], "int32")
    values = np.array([[i, 1, 2, 3] for i in ids], "float32")
    expected = model({"id": ids, "values": values})["score"]
    by_example = loaded.signatures["examples"](examples=examples([1, 2, 5]))
    np.testing.assert_allclose(by_example["score"], expected, rtol=1e-6)
    for name in ("predict", "serving_default"):
        np.testing.assert_allclose(
            loaded.signatures[name](id=ids, values=values)["score"], expected, rtol=1e-6
        )


def test_a_subclassed_model_takes_the_types_of_the_feature_spec(tmp_path):
    import tensorflow as tf
    from keras import Model, layers

    class Net(Model):
        def __init__(self):
            super().__init__()
            self.embed = layers.Embedding(9, 3)

        def call(self, x):
            return self.embed(x["id"]) + x["values"][:, :3]

    model = Net()
    ids, values = np.array([1, 5]), np.array([[1, 1, 2, 3], [5, 1, 2, 3]], "float32")
    expected = model({"id": ids, "values": values})
    SavedModel(feature_spec=spec).write(Estimator(model), str(tmp_path / "m"))
    loaded = load(tmp_path / "m")
    serve = loaded.signatures["serving_default"]
    assert serve.structured_input_signature[1]["id"].dtype == tf.int64
    np.testing.assert_allclose(serve(id=ids, values=values)["output_0"], expected, rtol=1e-6)
    got = loaded.signatures["examples"](examples=examples(ids))
    np.testing.assert_allclose(got["output_0"], expected, rtol=1e-6)


def test_a_feature_spec_that_lacks_an_input_names_it(tmp_path):
    lacking = {k: v for k, v in spec().items() if k != "values"}
    with pytest.raises(InvalidArgument, match="has 'id', 'unused', but not the model's 'values'"):
        SavedModel(feature_spec=lacking).write(Estimator(two_inputs()), str(tmp_path))


def test_lookup_tables_are_part_of_the_model(tmp_path):
    from keras import Input, Sequential, layers

    text = layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=2)
    SavedModel().write(
        Estimator(Sequential([Input((), dtype="string", name="text"), text])), str(tmp_path / "m")
    )
    import tensorflow as tf

    got = load(tmp_path / "m").signatures["serving_default"](text=tf.constant(["dog cat", "fox"]))
    assert got["output_0"].numpy().tolist() == [[3, 2], [1, 0]]


def test_dropout_is_off_in_the_exported_model(tmp_path):
    from keras import Input, Sequential, layers

    SavedModel().write(
        Estimator(Sequential([Input((4,), name="x"), layers.Dropout(0.9)])), str(tmp_path / "m")
    )
    got = load(tmp_path / "m").signatures["serving_default"](x=BATCH)["output_0"]
    np.testing.assert_array_equal(got, BATCH)


def test_everything_in_the_published_version_can_be_read_by_a_server_of_another_user(tmp_path):
    before = os.umask(0o022)
    try:
        path = Latest(SavedModel()).export(Estimator(dense()), str(tmp_path / "latest"))
    finally:
        os.umask(before)
    for place in [Path(path), *Path(path).rglob("*")]:
        wanted = 0o755 if place.is_dir() else 0o644
        assert stat.S_IMODE(place.stat().st_mode) == wanted, place


def test_a_disk_that_takes_no_more_is_cannot_write_and_nothing_is_visible(tmp_path):
    estimator = Estimator(dense())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(CannotWrite, match="File too large"):
            Latest(SavedModel()).export(estimator, str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


# -- estimators that export by themselves ----------------------------------------------------------


class Old:
    """The kind of TF 2.15: writes below a base and returns bytes."""

    def __init__(self):
        self.given = None

    def export_saved_model(
        self, export_dir_base, serving_input_receiver_fn, assets_extra=None, checkpoint_path=None
    ):
        self.given = (serving_input_receiver_fn, checkpoint_path)
        place = Path(export_dir_base, "1234567890")
        (place / "variables").mkdir(parents=True)
        (place / "saved_model.pb").write_text("graph")
        (place / "variables" / "variables.index").write_text("index")
        return os.fsencode(place)


def test_an_estimator_that_exports_by_itself_fills_the_version(tmp_path):
    estimator = Old()
    form = SavedModel(serving_input_receiver_fn=spec)
    path = Latest(form).export(estimator, str(tmp_path), "ckpt-5", clock=VirtualClock(7))
    assert estimator.given == (spec, "ckpt-5")
    assert sorted(os.listdir(path)) == ["saved_model.pb", "variables"]
    assert Path(path, "variables", "variables.index").read_text() == "index"
    assert os.listdir(tmp_path) == ["7"]


def test_an_estimator_that_needs_a_receiver_function_and_gets_none_says_so(tmp_path):
    with pytest.raises(InvalidArgument, match="pass serving_input_receiver_fn="):
        SavedModel().write(Old(), str(tmp_path))


def test_an_estimator_that_exports_without_one_is_not_given_one(tmp_path):
    class Simple:
        def export_saved_model(self, export_dir_base, checkpoint_path=None):
            Path(export_dir_base, "saved_model.pb").write_text(str(checkpoint_path))
            return export_dir_base

    SavedModel().write(Simple(), str(tmp_path), "ckpt-2")
    assert (tmp_path / "saved_model.pb").read_text() == "ckpt-2"
    assert os.listdir(tmp_path) == ["saved_model.pb"]


def test_an_estimator_with_a_receiver_function_of_its_own_keeps_it(tmp_path):
    class Own:
        def export_saved_model(self, export_dir_base, serving_input_receiver_fn="own"):
            place = Path(export_dir_base, "1")
            place.mkdir()
            (place / "saved_model.pb").write_text(str(serving_input_receiver_fn))
            return str(place)

    SavedModel().write(Own(), str(tmp_path))
    assert (tmp_path / "saved_model.pb").read_text() == "own"
    assert os.listdir(tmp_path) == ["saved_model.pb"]


def test_an_estimator_with_neither_way_is_named(tmp_path):
    with pytest.raises(InvalidType, match=r"object has neither restored.* nor export_saved_model"):
        SavedModel().write(object(), str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"feature_spec": 3}, InvalidType),
        ({"feature_spec": ["id"]}, InvalidType),
        ({"serving_input_receiver_fn": {}}, InvalidType),
        ({"input_names": "image"}, InvalidArgument),
    ],
)
def test_arguments_that_are_not_allowed_are_refused_at_construction(arguments, error):
    with pytest.raises(error, match="format saved_model"):
        SavedModel(**arguments)
