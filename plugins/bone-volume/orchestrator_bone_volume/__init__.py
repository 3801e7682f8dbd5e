"""The model bone-volume."""
