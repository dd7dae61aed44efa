"""Files of a dataset that are dealt to processes, and what cannot be dealt."""

from __future__ import annotations

import pytest

from expcore.errors import InvalidInput
from expcore_plugins.estimators.engine.files import part_by_files, wants_files

pytestmark = pytest.mark.tf


@pytest.fixture
def lines(tmp_path):
    """A function that gives the lines of six files of four in batches."""
    import tensorflow as tf

    for i in range(6):
        (tmp_path / f"{i}.txt").write_text("".join(f"{i}.{n}\n" for n in range(4)))

    def make(batch=5, **how):
        names = tf.data.Dataset.list_files(f"{tmp_path}/*.txt", shuffle=False)
        return names.interleave(tf.data.TextLineDataset, cycle_length=1).batch(batch, **how)

    return make


def rows(dataset):
    return [[row.decode() for row in batch] for batch in dataset.as_numpy_iterator()]


@pytest.mark.parametrize("of", [2, 3, 5])
def test_each_row_is_read_by_one_process_in_its_share_of_the_batch(lines, of):
    found = [rows(part_by_files(lines(), i, of, "data")) for i in range(of)]
    assert sorted(row for part in found for batch in part for row in batch) == [
        f"{i}.{n}" for i in range(6) for n in range(4)
    ]
    assert sum(len(part[0]) for part in found) == 5
    for i, part in enumerate(found):
        assert {row[0] for batch in part for row in batch} == {str(n) for n in range(i, 6, of)}


def test_a_size_that_is_always_the_same_stays_so(lines):
    assert part_by_files(lines(drop_remainder=True), 0, 2, "data").element_spec.shape == (2,)
    assert part_by_files(lines(), 0, 2, "data").element_spec.shape == (None,)


def test_the_option_says_so(lines):
    import tensorflow as tf

    options = tf.data.Options()
    assert not wants_files(lines().with_options(options))
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.FILE
    assert wants_files(lines().with_options(options))


def test_what_cannot_be_dealt_is_told(lines):
    import tensorflow as tf

    with pytest.raises(InvalidInput, match="finds no files that it reads"):
        part_by_files(tf.data.Dataset.range(20).batch(4), 1, 2, "data")
    with pytest.raises(InvalidInput, match="its batches have 2 rows"):
        part_by_files(lines(2), 1, 3, "data")
    with pytest.raises(InvalidInput, match="no size of their own"):
        part_by_files(lines().map(tf.identity).unbatch(), 1, 2, "data")
