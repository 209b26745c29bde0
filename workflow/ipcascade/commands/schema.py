"""Command: write the JSON schema of the config, and config.yaml with every default."""

import argparse
from pathlib import Path

from ipcascade.config import Config, default_yaml, json_schema
from ipcascade.core.files import dump_json, written_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files to write."""
    parser.add_argument("--schema", type=Path, required=True, help="JSON schema to write")
    parser.add_argument("--defaults", type=Path, required=True, help="YAML file of all defaults to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write both files; `config` has no part in them."""
    for path, text in ((args.schema, dump_json(json_schema())), (args.defaults, default_yaml())):
        with written_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
