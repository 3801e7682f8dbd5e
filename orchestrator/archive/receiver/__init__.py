"""The server that takes images from senders; acknowledges only what the spool holds."""
