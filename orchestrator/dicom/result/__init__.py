"""A model's result on the grid of its source, before any object is made of it."""
