"""Evaluates the answers of archives, independent of the protocol: matching, identity, changes and fetches."""
