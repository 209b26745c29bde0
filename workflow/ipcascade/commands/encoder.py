"""Command: fetch and check the pre-trained encoder, and copy it into one folder."""

import argparse
import logging
from pathlib import Path

from ipcascade.config import Config, section_options
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_written_whole, write_json
from ipcascade.core.names import ENCODER_FACTS
from ipcascade.core.provenance import write_provenance
from ipcascade.encoder.hub import NotFetchedError
from ipcascade.encoder.prepare import find_encoder, prepare_encoder

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder to write; the encoder is named in the config."""
    parser.add_argument("--folder", type=Path, required=True, help="encoder folder to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Write the encoder folder, whole or not at all; nothing is written before the encoder is found and checked."""
    try:
        source = find_encoder(config.encoder)
    except NotFetchedError as error:
        raise UserError(
            f"{error}; run `snakemake --profile PROFILE --configfile YOURS -- {args.folder / ENCODER_FACTS}` on a node "
            "with internet, or give a local folder in encoder.name"
        ) from error
    with folder_written_whole(args.folder) as part:
        write_json(part / ENCODER_FACTS, prepare_encoder(source, part))
        write_provenance(part, section_options(config, "encoder"), {})
    log.info("encoder %s, weights sha256 %s", source.name, source.sha256)
