"""Reads the header of one file: attributes, identity, place in the patient, names. No pixels are decoded here."""
