"""What input functions of the Keras estimator may return, and what is said of the rest."""

from __future__ import annotations

import functools
import logging
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore.errors import InvalidInput, InvalidType
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine.inputs import open_input
from expcore_plugins.estimators.engine.kept import KeptInputs
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.arange(140, dtype="float32").reshape(70, 2)
Y = np.arange(70, dtype="float32")
W = np.ones(70, "float32")


def read(data):
    return list(open_input(lambda: data).dataset.as_numpy_iterator())


class Sequence(keras.utils.PyDataset):
    def __init__(self, n=3, **options):
        super().__init__(**options)
        self.n, self.passes = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return X[i * 10 : i * 10 + 10], Y[i * 10 : i * 10 + 10]

    def on_epoch_begin(self):
        self.passes.append("begin")

    def on_epoch_end(self):
        self.passes.append("end")


# What can be used


def test_a_dataset_is_taken_as_it_is():
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(7)
    assert open_input(lambda: dataset).dataset is dataset


def test_arrays_are_given_in_batches_of_32_in_order_once():
    found = read((X, Y))
    assert [len(y) for _, y in found] == [32, 32, 6]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in found]), X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), Y)


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ((X,), 1),
        ((X, Y), 2),
        ((X, Y, W), 3),
        ((X, Y, None), 2),
        ((X, None), 1),
        ((X.tolist(), Y.tolist()), 2),
    ],
)
def test_a_tuple_has_features_labels_and_weights(data, parts):
    assert len(read(data)[0]) == parts


def test_one_array_is_features_alone():
    np.testing.assert_array_equal(read(X)[0], X[:32])


def test_structures_of_arrays_keep_their_names_and_lists_become_tuples():
    first, labels = read(({"a": X, "b": [X, Y]}, Y))[0]
    assert set(first) == {"a", "b"}
    assert isinstance(first["b"], tuple)
    np.testing.assert_array_equal(first["b"][1], labels)


def test_floats_of_64_bits_become_kerass_default_and_other_types_stay():
    spec = open_input(lambda: (X.astype("float64"), Y.astype("int64"), np.array(["a"] * 70))).spec
    assert [s.dtype.name for s in spec] == ["float32", "int64", "string"]


def test_a_pydataset_is_read_in_order_with_its_epochs():
    sequence = Sequence()
    dataset = open_input(lambda: sequence).dataset
    assert sequence.passes == []
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([y for _, y in dataset.as_numpy_iterator()]), Y[:30])
    assert sequence.passes == ["begin", "end"] * 2


def test_an_endless_pydataset_is_read_on_and_on():
    class Endless(Sequence):
        __len__ = None
        num_batches = None

        def __getitem__(self, i):
            return X[:1], np.array([i])

    dataset = open_input(Endless).dataset
    assert [int(y[0]) for _, y in dataset.take(5).as_numpy_iterator()] == [0, 1, 2, 3, 4]


def test_workers_of_a_pydataset_are_not_used_and_that_is_said(caplog):
    with caplog.at_level(logging.INFO):
        open_input(lambda: Sequence(workers=3))
    assert any("workers are not used" in m for m in caplog.messages)


@pytest.mark.parametrize("again", [True, False])
def test_an_iterable_of_batches_is_read_whole_and_a_generator_only_once(again):
    batches = [(X[i : i + 3], Y[i : i + 3]) for i in range(0, 9, 3)]
    opened = open_input(lambda: batches if again else iter(batches))
    assert opened.again is again
    passes = [sum(len(y) for _, y in opened.dataset.as_numpy_iterator()) for _ in range(2)]
    assert passes == ([9, 9] if again else [9, 0])


def test_dimensions_that_differ_between_the_first_two_batches_are_open():
    opened = open_input(lambda: [(np.zeros((2, n)), np.zeros(2)) for n in (3, 5, 8)])
    assert opened.spec[0].shape.as_list() == [None, None]
    assert [x.shape for x, _ in opened.dataset.as_numpy_iterator()] == [(2, 3), (2, 5), (2, 8)]


def test_a_generator_of_mappings_keeps_their_names():
    found = list(open_input(lambda: iter([({"a": X[:2]}, Y[:2])])).dataset.as_numpy_iterator())
    np.testing.assert_array_equal(found[0][0]["a"], X[:2])


# What cannot


def scalars():
    return tf.data.Dataset.from_tensor_slices((X, Y))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, r"nothing \(None\)"),
        ("text", "returned a str"),
        (3, "returned a int"),
        ({}, "returned a dict"),
        ((), "returned a tuple"),
        ((X, Y, W, W), "returned a tuple"),
        ([X, Y], r"return a tuple \(features, labels\)"),
        ((X, Y[:60]), r"\[60, 70\] examples"),
        ((X, 3), "array of examples"),
        ((X[:0], Y[:0]), "no batch"),
        (([[1, 2], [3]], Y[:2]), "different lengths"),
        ((np.array([object()] * 70), Y), "Python objects"),
        ([], "no batch"),
        (iter(()), "no batch"),
        ([(1, 2)], "a batch that is a tuple"),
        ([(X[:2], Y[:2]), {"a": X[:2]}], "different structure"),
        ([(X[:2], Y[:2]), (X[:2], X[:2])], "different structure"),
    ],
)
def test_what_is_no_input_is_refused_with_what_would_be(data, said):
    with pytest.raises(InvalidInput, match=said):
        open_input(lambda: data)


def test_a_dataset_of_single_examples_is_refused_with_the_call_that_is_missing():
    with pytest.raises(InvalidInput, match=r"float32\[2\], float32\[\].*dataset\.batch\(32\)"):
        open_input(scalars)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (lambda: scalars().batch(2).take(0), "no batch"),
        (lambda: tf.data.Dataset.from_tensor_slices((X, Y, W, W)).batch(2), "batches of 4 parts"),
        (lambda: scalars().window(3), "not batches of tensors"),
    ],
)
def test_a_dataset_of_something_else_is_refused(dataset, said):
    with pytest.raises(InvalidInput, match=said):
        open_input(dataset)


def test_an_input_function_that_needs_arguments_is_refused_with_the_way_out():
    def needs(mode, *, size, other=1):
        raise AssertionError("called")

    with pytest.raises(InvalidInput, match=r"needs.*'mode', 'size'.*functools\.partial"):
        open_input(needs)
    open_input(functools.partial(lambda data: data, (X, Y)))


def test_what_is_not_a_function_is_a_type_error():
    with pytest.raises(InvalidType, match="function of no arguments"):
        open_input((X, Y))


# In an estimator


def estimator(tmp_path, units=2):
    model = keras.Sequential([keras.Input((units,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return KerasEstimator(model, tmp_path / "run", RunConfig(), clock=VirtualClock())


@pytest.mark.parametrize("data", [lambda: (X, Y), Sequence, lambda: (b for b in [(X, Y)]), lambda: [(X, Y)]])
def test_every_kind_of_input_trains_evaluates_and_predicts(tmp_path, data):
    made = estimator(tmp_path).train(data, steps=1)
    assert made.evaluate(data, steps=1)["global_step"] == 1
    assert next(iter(made.predict(data))).shape == (1,)


@pytest.mark.parametrize("data", [lambda: None, lambda: 3, scalars, lambda: (X[:0], Y[:0]), lambda: [X, Y]])
def test_bad_input_is_refused_before_anything_is_written(tmp_path, data):
    with pytest.raises(InvalidInput):
        estimator(tmp_path).train(data)
    assert not (tmp_path / "run").exists()


def test_shapes_that_do_not_fit_the_model_are_named_in_one_line(tmp_path):
    made = estimator(tmp_path, units=3)
    with pytest.raises(InvalidInput, match=r"\(float32\[None, 2\], float32\[None\]\) does not fit") as caught:
        made.train(lambda: (X, Y))
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not (tmp_path / "run").exists()


def test_missing_labels_are_an_error_that_names_what_was_seen(tmp_path):
    with pytest.raises(InvalidInput, match=r"float32\[None, 2\]"):
        estimator(tmp_path).train(lambda: X)


def test_after_a_refused_input_a_right_one_works(tmp_path):
    made = estimator(tmp_path)
    with pytest.raises(InvalidInput):
        made.train(lambda: (X[:, :1], Y))
    assert made.train(lambda: (X, Y)).evaluate(lambda: (X, Y))["global_step"] == 3


# Kept inputs


class Owner:
    def __init__(self):
        self.asked = 0

    def data(self):
        self.asked += 1
        return X, Y

    def generated(self):
        self.asked += 1
        return iter([(X, Y)])


def test_a_kept_input_is_asked_for_once_for_each_function_and_owner():
    kept, owner, other = KeptInputs(), Owner(), Owner()
    assert kept.open(owner.data) is kept.open(owner.data)
    assert kept.open(other.data) is not kept.open(owner.data)
    assert (owner.asked, other.asked) == (1, 1)
    function = lambda: (X, Y)  # noqa: E731
    assert kept.open(function) is kept.open(function)


def test_a_generator_is_asked_for_each_time():
    kept, owner = KeptInputs(), Owner()
    kept.open(owner.generated)
    kept.open(owner.generated)
    assert owner.asked == 2


def test_an_input_is_dropped_with_its_function():
    kept = KeptInputs()
    for _ in range(3):
        kept.open(lambda: (X, Y))
    assert len(kept._inputs) == 0


def test_a_function_that_cannot_be_hashed_is_asked_each_time():
    class Unhashable:
        __hash__ = None

        def __call__(self):
            return X, Y

    function = Unhashable()
    kept = KeptInputs()
    assert kept.open(function) is not kept.open(function)


def test_the_reason_that_keras_gives_is_told_and_not_only_where_it_came_up(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 3), "float32")
    with pytest.raises(InvalidInput) as caught:
        KerasEstimator(model, tmp_path / "run").train(lambda: (x, x[:, :1]), steps=1)
    assert "received input with shape (None, 3)" in str(caught.value)
    assert "Exception encountered" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


SLOW = """
import sys, threading
import keras, numpy as np, tensorflow as tf
from expcore_plugins.estimators.keras import KerasEstimator

x = np.ones((4, 1), "float32")
spec = tf.TensorSpec((None, 1))

def batches():
    while True:
        threading.Event().wait(0.05)  # Python is at work on the next batch whenever the process ends
        yield x, x

def ahead():
    return tf.data.Dataset.from_generator(batches, output_signature=(spec, spec)).prefetch(2)

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
KerasEstimator(model, sys.argv[1]).train(batches if sys.argv[2] == "batches" else ahead, steps=5)
print("trained", flush=True)
"""


@pytest.mark.parametrize("kind", ["batches", "ahead"])
def test_a_process_ends_though_python_was_making_the_next_batch(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", SLOW, str(tmp_path / "run"), kind],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr[-2000:]
