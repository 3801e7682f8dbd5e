"""What every request must pass: hosts, origins, sizes and permissions."""
