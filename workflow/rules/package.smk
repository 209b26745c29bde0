# Where the package is: beside the workflow in a clone; installed where the workflow is used as a module from git.

import os
import sys
from pathlib import Path

# A folder that holds the package and no other. As a module from git, the workflow itself is not in a folder.
PACKAGE_FOLDER = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent

if (PACKAGE_FOLDER / "ipcascade").is_dir():
    sys.path.insert(0, str(PACKAGE_FOLDER))

try:
    import ipcascade
except ModuleNotFoundError:
    sys.exit(
        "ipcascade: used as a module, this workflow needs its package in the Python that runs Snakemake; install it "
        "from the same repository and version: pip install git+https://HOST/OWNER/REPOSITORY@VERSION"
    )

if not (PACKAGE_FOLDER / "ipcascade").is_dir():
    # Jobs in a conda environment may see the package, but not what is installed beside it.
    PACKAGE_FOLDER = Path(".snakemake/ipcascade").absolute()
    if workflow.is_main_process:
        PACKAGE_FOLDER.mkdir(parents=True, exist_ok=True)
        (PACKAGE_FOLDER / "ipcascade").unlink(missing_ok=True)
        (PACKAGE_FOLDER / "ipcascade").symlink_to(Path(ipcascade.__file__).parent)
