"""`python -m ipcascade` is the command `ipcascade`."""

import sys

from .cli import main

sys.exit(main())
