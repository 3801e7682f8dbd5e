"""DICOM Conformance Statement and IHE Integration Statement, generated from code and settings."""

from orchestrator.app.conformance.dicom import dicom_statement
from orchestrator.app.conformance.ihe import ihe_statement

__all__ = ["dicom_statement", "ihe_statement"]
