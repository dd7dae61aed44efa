"""What the Keras formats share: names of inputs, the restored model, names of files, refusals of the disk."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

import numpy as np
import pytest

from expcore.errors import InvalidArgument, InvalidType
from expcore_plugins.exporters.keras_model import (
    check_filename,
    check_input_names,
    disk_errors,
    restored_model,
    signature_of,
)

pytestmark = pytest.mark.tf


def functional(structure, **inputs):
    from keras import Model, layers

    flat = list(inputs.values())
    joined = layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    return Model(structure, layers.Dense(2)(joined))


def named():
    from keras import Input

    image = Input((4,), name="image")
    return functional(image, image=image)


def unnamed():
    from keras import Input

    only = Input((4,))
    return functional(only, only=only)


def two_unnamed():
    from keras import Input

    a, b = Input((4,)), Input((3,))
    return functional([a, b], a=a, b=b)


def one_of_two_named():
    from keras import Input

    a, b = Input((4,), name="age"), Input((3,))
    return functional([a, b], a=a, b=b)


def mapping():
    from keras import Input

    a, b = Input((4,), name="user id"), Input((3,), name="item")
    return functional({"user id": a, "item": b}, a=a, b=b)


def read_again():
    from keras import Model

    return Model.from_config(unnamed().get_config())


def sequential():
    from keras import Input, Sequential, layers

    return Sequential([Input((4,), name="image"), layers.Dense(2)])


def sequential_built():
    from keras import Sequential, layers

    model = Sequential([layers.Dense(2)])
    model.build((None, 4))
    return model


def subclassed():
    from keras import Model, layers

    class Net(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Net()
    model(np.ones((3, 4), "float32"))
    return model


def subclassed_mapping():
    from keras import Model, layers

    class Net(Model):
        def __init__(self):
            super().__init__()
            self.dense, self.embed = layers.Dense(2), layers.Embedding(9, 3)

        def call(self, x):
            return self.dense(layers.concatenate([self.embed(x["id"]), x["values"]]))

    model = Net()
    model({"id": np.ones((3,), "int32"), "values": np.ones((3, 4), "float32")})
    return model


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (named, {"image": (None, 4)}),
        (unnamed, {"inputs": (None, 4)}),
        (two_unnamed, {"inputs": (None, 4), "inputs_2": (None, 3)}),
        (one_of_two_named, {"age": (None, 4), "inputs_2": (None, 3)}),
        (mapping, {"user_id": (None, 4), "item": (None, 3)}),
        (read_again, {"inputs": (None, 4)}),
        (sequential, {"image": (None, 4)}),
        (sequential_built, {"inputs": (None, 4)}),
        (subclassed, {"inputs": (None, 4)}),
        (subclassed_mapping, {"id": (None,), "values": (None, 4)}),
    ],
)
def test_inputs_are_named_by_their_author_and_never_by_a_number_of_keras(make, expected):
    signature = signature_of(make(), None, {}, "format x")
    assert {name: tuple(spec.shape) for name, spec in signature.specs.items()} == expected


@pytest.mark.parametrize("make", [named, two_unnamed, mapping, sequential, subclassed, subclassed_mapping])
def test_the_signature_serves_what_the_model_gives(make):
    model = make()
    signature = signature_of(model, None, {}, "format x")
    batch = {name: np.full([5, *spec.shape[1:]], 2, "float32") for name, spec in signature.specs.items()}
    by_model = {
        named: lambda: batch["image"],
        sequential: lambda: batch["image"],
        two_unnamed: lambda: [batch["inputs"], batch["inputs_2"]],
        mapping: lambda: {"user id": batch["user_id"], "item": batch["item"]},
        subclassed: lambda: batch["inputs"],
        subclassed_mapping: lambda: batch,
    }[make]()
    np.testing.assert_array_equal(signature.serve(batch), model(by_model, training=False))


def test_the_signature_serves_as_in_inference():
    from keras import Input, Sequential, layers

    model = Sequential([Input((4,)), layers.Dropout(0.9), layers.BatchNormalization()])
    ones = np.ones((3, 4), "float32")
    served = signature_of(model, None, {}, "format x").serve({"inputs": ones})
    np.testing.assert_allclose(served, ones, atol=1e-2)


def test_given_names_win_and_must_be_one_for_each_input():
    model = one_of_two_named()
    assert list(signature_of(model, ("x", "y"), {}, "format x").specs) == ["x", "y"]
    with pytest.raises(InvalidArgument, match=r"format x: names of inputs are 'x' for the 2 inputs"):
        signature_of(model, ("x",), {}, "format x")


def test_inputs_that_would_have_one_name_need_other_ones():
    from keras import Input

    a, b = Input((4,), name="user id"), Input((3,), name="user-id")
    model = functional({"user id": a, "user-id": b}, a=a, b=b)
    with pytest.raises(InvalidArgument, match="input_names="):
        signature_of(model, None, {}, "format x")


def test_only_subclassed_models_take_the_types_of_the_spec():
    import tensorflow as tf

    types = {"id": tf.int64, "image": tf.int64}
    assert signature_of(subclassed_mapping(), None, types, "f").specs["id"].dtype == tf.int64
    assert signature_of(subclassed_mapping(), None, {}, "f").specs["id"].dtype == tf.float32
    assert signature_of(named(), None, types, "f").specs["image"].dtype == tf.float32


def test_a_model_that_was_never_called_cannot_be_exported_and_says_how():
    from keras import Sequential, layers

    with pytest.raises(InvalidArgument, match="never called; build it"):
        signature_of(Sequential([layers.Dense(2)]), None, {}, "format x")


class Holder:
    def __init__(self, model):
        self.model = model

    @contextmanager
    def restored(self, checkpoint_path=None):
        yield self.model


def test_the_model_of_an_estimator_must_be_a_keras_model():
    model = sequential()
    with restored_model(Holder(model), None, "format x") as restored:
        assert restored is model
    with (
        pytest.raises(InvalidType, match=r"format x: the model of .*Holder is a dict; a keras\.Model"),
        restored_model(Holder({}), None, "format x"),
    ):
        pass
    with (
        pytest.raises(InvalidType, match="format x: object has no restored"),
        restored_model(object(), None, "format x"),
    ):
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_tensorflow_errors_of_a_disk_that_refuses_become_os_errors(code):
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, f"/place/x; {os.strerror(code)}")
    with pytest.raises(OSError, match=os.strerror(code)) as caught, disk_errors("/place"):
        raise error
    assert (caught.value.errno, caught.value.filename) == (code, "/place")
    assert caught.value.__cause__ is error


def test_other_tensorflow_errors_go_through():
    import tensorflow as tf

    with pytest.raises(tf.errors.ResourceExhaustedError, match="OOM"), disk_errors("/place"):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")


@pytest.mark.parametrize("names", ["image", [], [""], ["a", "a"], ["a b"], ["é"], [3]])
def test_names_of_inputs_that_signatures_cannot_have_are_refused(names):
    with pytest.raises(InvalidArgument, match="format x: input_names"):
        check_input_names(names, "format x")
    assert check_input_names(["a", "b_2"], "format x") == ("a", "b_2")
    assert check_input_names(None, "format x") is None


@pytest.mark.parametrize(
    "name", ["", ".keras", "model", "model.h5", "a/b.keras", "..\\b.keras", "a\0.keras", None]
)
def test_names_of_files_are_plain_and_end_as_the_format_demands(name):
    with pytest.raises(InvalidArgument, match="filename"):
        check_filename(name, ".keras", "format x")
    assert check_filename("my model.keras", ".keras", "format x") == "my model.keras"
