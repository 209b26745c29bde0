"""The versions of Python and of the packages that decide results."""

import platform
from importlib.metadata import version

PACKAGES = (
    "ipcascade", "torch", "transformers", "polars", "pyarrow", "scikit-learn", "numpy", "matplotlib", "snakemake",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions by name."""
    return {name: version(name) for name in PACKAGES} | {"Python": platform.python_version()}
