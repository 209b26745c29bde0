"""Command: fetch and check the pre-trained encoder, and copy it into one folder."""

import argparse
import logging
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole, write_json
from ipcascade.core.names import ENCODER_FACTS
from ipcascade.core.options import Batching
from ipcascade.core.provenance import write_provenance
from ipcascade.encoder.hub import NotFetchedError
from ipcascade.encoder.prepare import find_encoder, prepare_encoder

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder to write; the encoder is named in the config."""
    parser.add_argument("--folder", type=Path, required=True, help="encoder folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the encoder folder, whole or not at all; the encoder is checked, and tried with the options that it is for.

    How documents are batched can only stop this command; train and score check it again.
    """
    try:
        source = find_encoder(config.encoder)
    except NotFetchedError as error:
        raise UserError(
            f"{error}; run `snakemake --profile PROFILE --configfile YOURS -- {args.folder / ENCODER_FACTS}` on a node "
            "with internet, or give a local folder in encoder.name"
        ) from error
    # Not before: it imports huggingface_hub, which reads its settings then (encoder/hub.py sets them).
    from ipcascade.model.suitability import check_encoder

    with folder_written_whole(args.folder) as part:
        facts = prepare_encoder(source, part)
        check_encoder(part, config.encoder.name, config.tokens.max_length, _batching(config))
        write_json(part / ENCODER_FACTS, facts)
        write_provenance(part, section_options(config, "encoder", "tokens.max_length"), {})
    log.info("encoder %s, weights sha256 %s", source.name, source.sha256)


def _batching(config: Config) -> Batching:
    """The batching to try: packed where anything is."""
    return "packed" if "packed" in (config.training.batching, config.scoring.batching) else "padded"
