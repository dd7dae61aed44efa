"""The format "saved_model": what TensorFlow Serving and ``tf.saved_model.load`` read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any

from expcore.calling import call_naming, describe, parameters
from expcore.errors import InvalidArgument, InvalidType, listing
from expcore.temporary import temporary_directory
from expcore_plugins.exporters.keras_model import (
    Signature,
    check_input_names,
    clean,
    disk_errors,
    is_module,
    restored_model,
    signature_of,
)

_SUBJECT = "format saved_model"

FeatureSpec = Mapping[str, Any] | Callable[[], Mapping[str, Any]]


class SavedModel:
    """Writes a SavedModel that needs neither expcore nor the model's code to be loaded.

    Its signature ``serving_default`` takes the model's inputs by name: ``input_names``, else the keys of a
    model that takes a mapping, else the names given to ``keras.Input``, else "inputs". Inputs of a
    subclassed model have the shapes of its first call, with any batch size.

    Of a ``tf.Module`` its methods with ``tf.function(input_signature=...)`` are the signatures, by their
    names; ``serve``, or else the first one, is ``serving_default`` too.

    An estimator without ``restored`` but with ``export_saved_model`` (the kind of TF 2.15) writes by itself.

    Args:
        feature_spec: ``tf.io.FixedLenFeature`` and the like by input name, or a function that returns such a
            mapping; adds the signatures ``examples`` (a vector of serialized ``tf.train.Example`` called
            "examples") and ``predict`` (the same as ``serving_default``). None: neither.
        input_names: names for the model's inputs, in the order of ``keras.tree.flatten``; None: its own.
        serving_input_receiver_fn: passed to an ``export_saved_model`` that takes one; None: nothing is.

    Raises:
        InvalidType: ``feature_spec`` is neither a mapping nor a function, or the last one not a function.
        InvalidArgument: ``input_names`` are not different names of letters, digits and underscores.
    """

    def __init__(
        self,
        feature_spec: FeatureSpec | None = None,
        input_names: Sequence[str] | None = None,
        serving_input_receiver_fn: Callable[[], Any] | None = None,
    ) -> None:
        if not (feature_spec is None or callable(feature_spec) or isinstance(feature_spec, Mapping)):
            raise InvalidType(
                f"{_SUBJECT}: feature_spec is {feature_spec!r}; give a mapping of names to "
                "tf.io.FixedLenFeature and the like, or a function that returns one"
            )
        if serving_input_receiver_fn is not None and not callable(serving_input_receiver_fn):
            raise InvalidType(
                f"{_SUBJECT}: serving_input_receiver_fn is {serving_input_receiver_fn!r}; give a function"
            )
        self._feature_spec = feature_spec
        self._input_names = check_input_names(input_names, _SUBJECT)
        self._receiver_fn = serving_input_receiver_fn

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        """Writes the SavedModel of a checkpoint into ``directory``.

        Args:
            estimator: one with ``restored`` that gives a ``keras.Model``, or with ``export_saved_model``.
            directory: an empty directory.
            checkpoint_path: the checkpoint; None: the latest.

        Raises:
            InvalidType: the estimator has neither, or its model is not a ``keras.Model``.
            InvalidArgument: the inputs cannot be named, or ``feature_spec`` lacks one of them.
        """
        if callable(getattr(estimator, "restored", None)):
            with restored_model(estimator, checkpoint_path, _SUBJECT, modules=True) as model:
                if is_module(model):
                    self._write_module(model, directory)
                else:
                    self._write_model(model, directory)
        elif callable(getattr(estimator, "export_saved_model", None)):
            self._write_by_estimator(estimator, directory, checkpoint_path)
        else:
            raise InvalidType(
                f"{_SUBJECT}: {describe(type(estimator))} has neither restored(checkpoint_path) nor "
                "export_saved_model(); use an estimator that has one, or another format"
            )

    def _write_module(self, module: Any, directory: str) -> None:
        import tensorflow as tf

        if self._feature_spec is not None or self._input_names is not None:
            raise InvalidArgument(
                f"{_SUBJECT}: feature_spec and input_names are for Keras models; the signatures of a "
                "tf.Module are its methods with tf.function(input_signature=...)"
            )
        functions = {
            name: function
            for name in dir(type(module))
            if isinstance(function := getattr(module, name, None), tf.types.experimental.PolymorphicFunction)
            and function.input_signature is not None
        }
        if not functions:
            raise InvalidArgument(
                f"{_SUBJECT}: the module {describe(type(module))} has no method with "
                "tf.function(input_signature=...); decorate the one that is to be served"
            )
        default = functions.get("serve") or next(iter(functions.values()))
        with disk_errors(directory):
            tf.saved_model.save(module, directory, {"serving_default": default, **functions})

    def _write_model(self, model: Any, directory: str) -> None:
        import keras
        import tensorflow as tf

        spec = self._feature_spec() if callable(self._feature_spec) else self._feature_spec
        types = {clean(name): feature.dtype for name, feature in (spec or {}).items()}
        signature = signature_of(model, self._input_names, types, _SUBJECT)
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serving_default", signature.serve, [dict(signature.specs)])
        if spec is not None:
            archive.add_endpoint("predict", signature.serve, [dict(signature.specs)])
            examples = tf.TensorSpec([None], tf.string, name="examples")
            archive.add_endpoint("examples", _parsing(signature, spec), [examples])
        with disk_errors(directory):
            archive.write_out(directory, verbose=False)

    def _write_by_estimator(self, estimator: Any, directory: str, checkpoint_path: str | None) -> None:
        export = estimator.export_saved_model
        receiver = parameters(export).get("serving_input_receiver_fn")
        if receiver is not None and receiver.default is Parameter.empty and self._receiver_fn is None:
            raise InvalidArgument(
                f"{_SUBJECT}: {describe(type(estimator))}.export_saved_model needs a function that makes the "
                "served inputs; pass serving_input_receiver_fn="
            )
        offered = {"serving_input_receiver_fn": self._receiver_fn, "checkpoint_path": checkpoint_path}
        with temporary_directory(directory) as place:
            given = {k: v for k, v in offered.items() if v is not None}
            written = os.fsdecode(call_naming(export, place, **given))
            for name in os.listdir(written):
                os.rename(os.path.join(written, name), os.path.join(directory, name))


def _parsing(signature: Signature, spec: Mapping[str, Any]) -> Callable[[Any], Any]:
    """The model as a function of serialized examples."""
    import tensorflow as tf

    missing = sorted(set(signature.specs) - {clean(name) for name in spec})
    if missing:
        raise InvalidArgument(
            f"{_SUBJECT}: feature_spec has {listing(sorted(spec))}, but not the model's {listing(missing)}; "
            "add them, or give input_names= the names of the spec"
        )

    def examples(serialized: Any) -> Any:
        parsed = {clean(name): value for name, value in tf.io.parse_example(serialized, spec).items()}
        return signature.serve({name: parsed[name] for name in signature.specs})

    return examples
