"""Tools for authors of models: locate, create, try and check a model."""
