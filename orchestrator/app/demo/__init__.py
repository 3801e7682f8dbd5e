"""``orchestrator demo``: sample series, an Orthanc, and the page with the results."""
