"""What every connection to another machine is made with: TLS contexts, certificates and bounded HTTP requests.

It knows no DICOM, no archive, no model server and no setting; those who call it name the faults in their own words.
"""
