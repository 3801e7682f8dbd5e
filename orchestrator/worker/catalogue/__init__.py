"""Which models there are, as their caged processes describe them, and their weights."""
