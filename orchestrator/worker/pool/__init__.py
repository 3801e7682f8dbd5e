"""Runs models in warm processes: places each on a device and sends its requests."""
