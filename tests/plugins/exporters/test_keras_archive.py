"""The format "keras_archive": one file that Keras reads, of the asked-for checkpoint."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from expcore.errors import InvalidArgument, InvalidType, NotTrained
from expcore.testing.clock import VirtualClock
from expcore_plugins.exporters.keras_archive import KerasArchive
from expcore_plugins.exporters.latest import Latest

pytestmark = [
    pytest.mark.tf,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

BATCH = np.arange(20, dtype="float32").reshape(5, 4)


class Estimator:
    """Keeps weights by checkpoint, swaps them in and puts the training state back."""

    def __init__(self):
        from keras import Input, Sequential, layers

        self.model = Sequential([Input((4,), name="image"), layers.Dense(2)])
        self.training = self.model.get_weights()
        self.saved = {"ckpt-1": [w + 1 for w in self.training], None: self.training}

    @contextmanager
    def restored(self, checkpoint_path=None):
        if checkpoint_path not in self.saved:
            raise NotTrained(f"no checkpoint {checkpoint_path}")
        self.model.set_weights(self.saved[checkpoint_path])
        try:
            yield self.model
        finally:
            self.model.set_weights(self.training)


@pytest.mark.parametrize("checkpoint", ["ckpt-1", None])
def test_the_published_file_holds_the_asked_for_checkpoint_and_training_stays_as_it_was(tmp_path, checkpoint):
    import keras

    estimator = Estimator()
    path = Latest(KerasArchive()).export(estimator, str(tmp_path), checkpoint, clock=VirtualClock(7))
    assert os.listdir(path) == ["model.keras"]
    for was, now in zip(estimator.training, estimator.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    loaded = keras.saving.load_model(os.path.join(path, "model.keras"))
    with estimator.restored(checkpoint) as model:
        np.testing.assert_allclose(loaded(BATCH), model(BATCH), rtol=1e-6)


def test_the_file_can_be_named_and_is_readable_for_others(tmp_path):
    before = os.umask(0o022)
    try:
        KerasArchive("digits.keras").write(Estimator(), str(tmp_path))
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(tmp_path, "digits.keras").stat().st_mode) == 0o644


def test_the_estimators_error_for_a_checkpoint_that_is_not_there_goes_through(tmp_path):
    with pytest.raises(NotTrained, match="no checkpoint ckpt-9"):
        Latest(KerasArchive()).export(Estimator(), str(tmp_path), checkpoint_path="ckpt-9")
    assert os.listdir(tmp_path) == []


def test_an_estimator_without_a_model_to_restore_is_named(tmp_path):
    with pytest.raises(InvalidType, match="format keras_archive: object has no restored"):
        KerasArchive().write(object(), str(tmp_path))


def test_a_name_that_is_no_keras_file_is_refused_at_construction():
    with pytest.raises(InvalidArgument, match=r"format keras_archive: filename 'model\.h5'"):
        KerasArchive("model.h5")
