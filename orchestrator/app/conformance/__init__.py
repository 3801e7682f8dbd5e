"""What a site asks for on day one, made from what the code supports: DICOM and IHE statements."""

from orchestrator.app.conformance.dicom import dicom_statement
from orchestrator.app.conformance.ihe import ihe_statement

__all__ = ["dicom_statement", "ihe_statement"]
