"""The format keeps the promises of exporters, with a Keras model."""

from __future__ import annotations

from dataclasses import replace

from expcore_onnx import Onnx
from expcore_onnx.samples import onnx

from expcore.conformance import conformance


@conformance(replace(onnx(), component=Onnx()), kind="exporter")
def test_the_format_keeps_every_promise_of_exporters(clause):
    clause()
