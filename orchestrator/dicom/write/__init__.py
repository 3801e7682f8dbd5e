"""Writes all objects of one result; the only room that knows every object type."""
