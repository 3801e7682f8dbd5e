"""Loads and runs networks of each runtime: ONNX, TorchScript, PyTorch, and networks on a server."""

from orchestrator.worker.child.runtimes.loading import load_network
from orchestrator.worker.child.runtimes.packages import require
from orchestrator.worker.child.runtimes.signature import LoadedNetwork, Signature, output_names

__all__ = ["LoadedNetwork", "Signature", "load_network", "output_names", "require"]
