"""The versions of Python and of the packages that decide results."""

import platform
from importlib.metadata import version

from ipcascade import __version__

PACKAGES = (
    "torch", "transformers", "polars", "pyarrow", "scikit-learn", "numpy", "matplotlib", "snakemake",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions by name."""
    packages = {name: version(name) for name in PACKAGES}
    # Jobs may find ipcascade without its being installed.
    return {"ipcascade": __version__, **packages, "Python": platform.python_version()}
