"""The DICOM server that receives images; it acknowledges an instance only when the spool holds it durably."""
