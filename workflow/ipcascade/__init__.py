"""ipcascade: from PATSTAT to a trained, measured, reproducible two-level patent classifier."""

__version__ = "0.1.0"
