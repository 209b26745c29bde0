"""Step `run_config`: the merged config, every default filled in, as YAML."""

import argparse
from pathlib import Path

import yaml

from ..config import Config
from ..doors import written_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--config", type=Path, required=True, help="YAML file to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    everything = config.model_dump(mode="json", by_alias=True)
    with written_whole(args.config) as temporary:
        temporary.write_text(yaml.safe_dump(everything, sort_keys=False, allow_unicode=True), encoding="utf-8")
