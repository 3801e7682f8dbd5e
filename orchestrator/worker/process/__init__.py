"""One model process: its cage, its start and its end."""
