"""Writes, checks and stores all objects of a job."""
