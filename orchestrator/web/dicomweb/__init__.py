"""What viewers and senders ask over DICOMweb, and the OHIF viewer's own pages."""
