"""The code of the model process: it runs inside the cage, in the model's own interpreter."""

from orchestrator.worker.child.serving import serve

__all__ = ["serve"]
