"""Places in a batch, for each of which some layers keep a state."""

from __future__ import annotations

from typing import Any

from expcore.errors import InvalidArgument, listing


def check_not_stateful(model: Any) -> None:
    """Makes sure that no layer keeps a state for each place in the batch.

    Raises:
        InvalidArgument: some do (``stateful=True``), while a place's rows are now here, now there.
    """
    import keras

    recurrent = (keras.layers.RNN, keras.layers.Bidirectional)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, recurrent)]
    keeping = [layer.name for layer in layers if layer.stateful]
    if keeping:
        raise InvalidArgument(
            f"model {model.name!r}: {listing(keeping)} (stateful=True) keeps a state for each place in the "
            "batch, whose rows are dealt out in a cluster; give whole sequences, or train in one process"
        )
