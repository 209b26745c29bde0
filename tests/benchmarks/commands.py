"""How the benchmarks run the package's commands and one another: as processes, with a config in a file."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def write_config(path: Path, sections: Mapping[str, Any]) -> Path:
    """Write some sections of the config as a file for --config; all other keys have their defaults. Returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(sections), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def run_command(name: str, config: Path, **arguments: Any) -> None:
    """Run `ipcascade NAME` with a config file and arguments (audit=... is --audit). Exits as `run_process` does."""
    words = [word for key, value in arguments.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    run_process([sys.executable, "-m", "ipcascade", name, "--config", str(config), *words], {})


def run_process(command: list[str], environment: Mapping[str, str]) -> int:
    """Run a command quietly. Exits with its output where it fails; returns its code where a signal killed it."""
    done = subprocess.run(command, env={**os.environ, **environment}, text=True, capture_output=True, check=False)
    if done.returncode > 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.returncode
