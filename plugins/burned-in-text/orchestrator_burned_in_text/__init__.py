"""The model burned-in-text: whether and where text is part of an image's pixels."""

from orchestrator_burned_in_text.model import BurnedInText, register_models

__all__ = ["BurnedInText", "register_models"]
