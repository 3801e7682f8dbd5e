"""The byte formats of the DICOM network: PDUs, commands, negotiation, data sets and UIDs; no sockets of archives."""
