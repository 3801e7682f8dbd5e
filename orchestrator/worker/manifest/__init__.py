"""The model.toml of a model: its schema, faults and reference; starts no process."""
