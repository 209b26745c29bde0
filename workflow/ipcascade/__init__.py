"""ipcascade: from a patent database to a trained, measured, reproducible classifier of a label tree."""

__version__ = "0.2.0"
