"""The terms of this system as types: no adapter, no file format; numpy and the standard library only."""
