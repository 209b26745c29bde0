"""`python -m ipcascade` is the command `ipcascade`."""

import sys

from ipcascade.cli import main

sys.exit(main())
