"""The catalogue of models, as their caged processes describe them, and their weights."""
