"""The words of this system; numpy and the standard library only."""
