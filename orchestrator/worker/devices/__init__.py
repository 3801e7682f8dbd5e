"""CPU and GPUs, their memory and who waits for it."""
