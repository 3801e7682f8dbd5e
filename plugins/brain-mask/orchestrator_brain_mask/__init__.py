"""The model brain-mask: brain and intracranial volume on T1-weighted MR."""

from orchestrator_brain_mask.model import BrainMask, register_models

__all__ = ["BrainMask", "register_models"]
