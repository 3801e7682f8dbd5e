"""Routes DICOM series to AI models and writes their results back, unverified, for review."""

__version__ = "0.1.0"
