"""Keras models as ONNX files: a format for expcore."""

from expcore_onnx.format import Onnx as Onnx
from expcore_onnx.verification import OnnxDiffers as OnnxDiffers

__all__ = ["Onnx", "OnnxDiffers"]
