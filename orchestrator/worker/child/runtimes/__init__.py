"""The one call in which ONNX, TorchScript and PyTorch networks differ."""

from orchestrator.worker.child.runtimes.loading import load_network
from orchestrator.worker.child.runtimes.packages import required
from orchestrator.worker.child.runtimes.signature import LoadedNetwork, Signature, wanted_outputs

__all__ = ["LoadedNetwork", "Signature", "load_network", "required", "wanted_outputs"]
