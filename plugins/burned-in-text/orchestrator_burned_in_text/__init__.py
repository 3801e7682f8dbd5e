"""The model burned-in-text: detects text in the pixels of images."""

from orchestrator_burned_in_text.model import BurnedInText, register_models

__all__ = ["BurnedInText", "register_models"]
