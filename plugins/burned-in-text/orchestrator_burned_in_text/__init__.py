"""The model burned-in-text."""
