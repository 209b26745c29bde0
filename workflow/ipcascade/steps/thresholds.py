"""Step `thresholds`: from validation scores to thresholds. No other split comes in."""

import argparse
from pathlib import Path

from ..config import Config, section_options
from ..documents import read_scores
from ..doors import provenance, write_json
from ..errors import UserError
from ..thresholds import fit
from .labelled import add_documents, read_documents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files of this step."""
    add_documents(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores of the validation split")
    parser.add_argument("--thresholds", type=Path, required=True, help="thresholds.json to write")


def run(args: argparse.Namespace, config: Config) -> None:
    """Run the step."""
    taxonomy, documents = read_documents(args)
    ids, scores = read_scores(args.scores, taxonomy)
    positions = documents.at(ids, args.scores)
    if (documents.split[positions] != "val").any():
        raise UserError(
            f"{args.scores} holds documents outside the validation split; thresholds are fitted on it alone"
        )
    fitted = fit(documents.truth[positions], scores, taxonomy, config.thresholds, config.decoding, config.seed)
    made_of = provenance(
        section_options(config, "seed", "thresholds", "decoding"), {"scores": args.scores, "splits": args.splits}
    )
    # The decoding they were fitted for goes along, so that nobody applies them with another one.
    content = {**fitted.to_json(taxonomy), "decoding": config.decoding.model_dump(mode="json")}
    write_json(args.thresholds, content, made_of)
