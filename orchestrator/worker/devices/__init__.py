"""Devices that models run on (CPU and GPUs), their memory, and the queue for it."""
