"""Demo projects: a table of invented funded projects, to be labelled by the model of the demo delivery.

Their descriptions are of the same prose as the abstracts of the delivery, drawn from another stream, so that they share
its vocabularies and none of its texts. Some projects have two descriptions. A funder has technologies of its own: it
funds what is nearest to its part of the classes.
"""

import csv
from pathlib import Path
from string import ascii_lowercase

import numpy as np

from ipcascade.core.files import written_whole
from ipcascade.core.label_tree import LabelTree
from ipcascade.core.random_streams import stream
from ipcascade.sources.demo.delivery import World
from ipcascade.sources.demo.families import draw_applications

FUNDERS = ("Agency North", "Agency South", "Foundation East", "Ministry West")
OWN_TECHNOLOGIES = 0.7  # share of projects whose funder is that of their first class
YEARS = range(2015, 2025)
FURTHER_TEXTS = 0.2  # share of the texts that are another one of the project before them
TEXTS = 400  # to draw; those in English stay, one per family
COLUMNS = ("document_id", "project", "text", "funder", "year", "budget")


def write_projects(path: Path, documents: int, seed: int, tree: LabelTree) -> int:
    """Write the table, and return the number of its texts.

    documents: of the delivery, which has the same vocabularies with the same seed and tree. Raises UserError as
    `write_delivery` does.
    """
    world, rng = World.build(seed, documents, tree), stream(seed, "demo", "projects")
    families, applications = draw_applications(world.classes, rng, range(4 * TEXTS), TEXTS)
    descriptions, _ = world.prose.write(rng, families, applications)
    first_of_family = applications.has_abstract & (applications.language == 0) & (applications.member == 0)
    chosen = np.flatnonzero(first_of_family)
    is_further = (rng.random(len(chosen)) < FURTHER_TEXTS) & (np.arange(len(chosen)) > 0)
    project = np.cumsum(~is_further)
    own = families.topics[applications.family[chosen], 0] % len(FUNDERS)
    drawn = np.where(rng.random(len(chosen)) < OWN_TECHNOLOGIES, own, rng.integers(len(FUNDERS), size=len(chosen)))
    years = rng.choice(YEARS, len(chosen))
    budgets = 10_000 * rng.integers(5, 200, len(chosen))
    first = np.flatnonzero(~is_further)[project - 1]  # what a project is, its first text says
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as content:
        table = csv.writer(content, lineterminator="\n")
        table.writerow(COLUMNS)
        for row, (place, number, of) in enumerate(zip(chosen.tolist(), project.tolist(), first.tolist(), strict=True)):
            letter = ascii_lowercase[row - of]
            name, funder = f"P{number:04}", FUNDERS[drawn[of]]
            table.writerow((f"{name}{letter}", name, descriptions[place], funder, years[of], budgets[of]))
    return len(chosen)
