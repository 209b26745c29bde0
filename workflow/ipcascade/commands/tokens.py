"""Command: tokenise the corpus into the token cache."""

import argparse
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.files import folder_written_whole
from ipcascade.core.names import ENCODER_FACTS
from ipcascade.core.provenance import write_provenance
from ipcascade.encoder.tokenise import write_cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Corpus and encoder in, token cache out."""
    parser.add_argument("--corpus", type=Path, required=True, help="corpus.parquet")
    parser.add_argument("--encoder", type=Path, required=True, help="encoder folder")
    parser.add_argument("--tokens", type=Path, required=True, help="token cache folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the token cache, whole or not at all."""
    with folder_written_whole(args.tokens) as part:
        write_cache(args.corpus, args.encoder, config.tokens.max_length, part)
        inputs = {"corpus": args.corpus, "encoder": args.encoder / ENCODER_FACTS}
        write_provenance(part, section_options(config, "tokens"), inputs)
