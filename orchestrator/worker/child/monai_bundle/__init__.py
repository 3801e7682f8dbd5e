"""Runs a MONAI bundle as a model; torch and monai are imported when a bundle is loaded."""

from orchestrator.worker.child.monai_bundle.model import Bundle

__all__ = ["Bundle"]
