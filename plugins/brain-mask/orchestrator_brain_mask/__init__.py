"""The model brain-mask."""
