"""The pages on which results are read and judged."""
