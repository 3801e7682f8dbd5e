"""Finds model folders and plugins, and installs their environments; imports none of them."""
