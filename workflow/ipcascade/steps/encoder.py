"""Step `encoder`: the pre-trained encoder, checked and laid down as one folder."""

import argparse
import logging
import shutil
from pathlib import Path

from ..config import Config, section_options
from ..doors import write_json
from ..encoders import lay_down
from ..errors import UserError
from ..hub import NotFetchedError

log = logging.getLogger(__name__)
FACTS = "encoder.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    parser.add_argument("--folder", type=Path, required=True, help="folder to lay the encoder down in")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    part = args.folder.with_name(f".{args.folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        facts = lay_down(config.encoder, part)
        write_json(part / FACTS, facts, {"options": section_options(config, "encoder")})
        shutil.rmtree(args.folder, ignore_errors=True)
        part.replace(args.folder)
    except NotFetchedError as error:
        raise UserError(
            f"{error}; run `snakemake --profile PROFILE --configfile YOURS -- {args.folder / FACTS}` on a node with "
            "internet, or give a local folder in encoder.name"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("encoder %s, weights sha256 %s", facts["name"], facts["sha256"])
