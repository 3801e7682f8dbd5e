"""What archives answer: matching, identity, changes and fetches, whatever the protocol."""
