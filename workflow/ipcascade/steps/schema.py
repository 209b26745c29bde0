"""Step `schema`: the JSON schema of the config, for editors and for people who write configs by program."""

import argparse
from pathlib import Path

from ..config import Config
from ..doors import dump_json, written_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--schema", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    with written_whole(args.schema) as temporary:
        temporary.write_text(dump_json(Config.model_json_schema()), encoding="utf-8")
