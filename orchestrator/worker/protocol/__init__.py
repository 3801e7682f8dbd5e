"""What host and model process say to each other: channel, volumes, results; known to both sides."""
