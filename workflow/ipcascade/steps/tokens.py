"""Step `tokens`: the token cache of the corpus."""

import argparse
import shutil
from pathlib import Path

from ..config import Config, section_options
from ..doors import provenance
from ..tokens import write_cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder")
    parser.add_argument("--tokens", type=Path, required=True, help="folder to write the cache to")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    made_of = provenance(
        section_options(config, "tokens"), {"corpus": args.corpus, "encoder": args.encoder / "encoder.json"}
    )
    part = args.tokens.with_name(f".{args.tokens.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        write_cache(args.corpus, args.encoder, config.tokens.max_length, part, made_of)
        shutil.rmtree(args.tokens, ignore_errors=True)
        part.replace(args.tokens)
    finally:
        shutil.rmtree(part, ignore_errors=True)
