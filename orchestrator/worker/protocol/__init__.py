"""The protocol between host and model process: messages, volumes and results; both sides import it."""
