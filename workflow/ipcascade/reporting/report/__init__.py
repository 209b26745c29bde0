"""The report: all results of a run as one HTML page that needs no network."""
