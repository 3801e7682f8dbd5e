"""The bytes of the DICOM network: PDUs, commands, negotiation, data sets and UIDs; no files and no archives."""
