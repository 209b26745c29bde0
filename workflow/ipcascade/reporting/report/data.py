"""The section on data: the funnel, the corpus, the splits and their audit."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from ipcascade.core.names import SCORED_SPLITS, SPLITS
from ipcascade.reporting.funnel import funnel_table
from ipcascade.reporting.report.elements import (
    NOTHING,
    Cell,
    Column,
    Facts,
    Part,
    Section,
    Table,
    Text,
    amount,
    measure,
    percent,
    table_of,
    text,
    whole,
)
from ipcascade.reporting.report.results import Results
from ipcascade.reporting.words import capitalised, level_name, listed, plural


def section(results: Results, levels: Sequence[str]) -> Section:
    """Where the documents come from, what was removed, how they are split, and whether the splits are sound."""
    funnel, audit = results.funnel(), results.audit()
    tokens = results.tokens()
    sizes = {name: audit["splits"][name]["documents"] for name in SPLITS}
    leaks = audit["groups_in_several_splits"], audit["texts_in_several_splits"]
    parts: list[Part] = [
        Facts(
            [
                ("Documents", f"{sum(sizes.values()):,}"),
                ("For training, validation, test", " / ".join(f"{size:,}" for size in sizes.values())),
                ("Families (groups of documents)", f"{funnel['groups']['groups']:,}"),
                *(
                    (
                        f"{capitalised(plural(level_name(level)))} present",
                        f"{of['present']:,}; {of['mean_per_document']:.2f} per document",
                    )
                    for level, of in ((level, funnel["labels"][level]) for level in levels)
                ),
                ("Mean length in tokens", f"{tokens['mean_length']:.0f}"),
                ("Texts cut off", f"{tokens['truncated_documents']:,}, at {tokens['max_length']:,} tokens"),
                ("Families, texts in several splits", f"{leaks[0]:,}, {leaks[1]:,}"),
            ]
        ),
    ]
    if any(leaks):
        parts.append(Text("Some families or texts are in several splits: the measures below are too high.", warns=True))
    parts += [Text(note, warns=True) for note in funnel["notes"]]
    parts += [
        results.figure(7, "from the source to the corpus"),
        _funnel(funnel),
        results.figure(1, "corpus statistics"),
        _sizes(audit, levels),
        _drift(audit, levels),
    ]
    return Section("data", "Data and splits", parts)


def _funnel(funnel: dict[str, Any]) -> Table:
    columns = {
        "step": ("Step", text),
        "key": ("Decided by the key", text),
        "removed": ("Removed", whole),
        "removed_share": ("Share removed", percent),
        "left": ("Left", whole),
        "unit": ("Unit", text),
    }
    caption = "What each step of building the corpus removed, and what it left."
    return table_of("funnel", caption, funnel_table(funnel), columns)


def _sizes(audit: dict[str, Any], levels: Sequence[str]) -> Table:
    """A row per property, a column per split."""
    splits, filings = audit["splits"], audit.get("first_filings")
    rows = [
        _row("Documents", [whole(splits[name]["documents"]) for name in SPLITS]),
        _row("Families (groups)", [whole(splits[name]["groups"]) for name in SPLITS]),
        _row("Share of documents", [percent(splits[name]["share"]) for name in SPLITS]),
        _row("Share less the share asked for", [_signed(splits[name]["size_error"]) for name in SPLITS]),
    ]
    for level in levels:
        words = plural(level_name(level))
        missing = [audit["missing_labels"][name][level] for name in SPLITS]
        rows += [
            _row(f"{capitalised(words)} present", [whole(splits[name]["labels_present"][level]) for name in SPLITS]),
            _row(f"{capitalised(words)} missing", [Cell(_some(codes), len(codes)) for codes in missing]),
            _row(
                f"{capitalised(words)} per document",
                [measure(splits[name]["mean_labels_per_document"][level]) for name in SPLITS],
            ),
        ]
    if filings is not None:
        years = [(filings[name]["first_year"], filings[name]["last_year"]) for name in SPLITS]
        rows += [
            _row("First filed", [Cell(_years(*of_split)) for of_split in years]),
            _row("Without a year", [whole(filings[name]["documents_without_year"]) for name in SPLITS]),
            _row("Offices of first filing", [whole(len(filings[name]["offices"])) for name in SPLITS]),
        ]
    distances = listed([f"{audit['label_distribution_distance'][level]:.5f} ({level_name(level)})" for level in levels])
    caption = (
        "The splits. The mean distance of a label's share in a split from its share in all documents is "
        f"{distances}; of pairs of labels it is {audit['label_pair_distribution_distance']:.5f}."
    )
    return Table("splits", caption, [Column("Property"), *(Column(name, True) for name in SPLITS)], rows)


def _signed(share: float) -> Cell:
    return Cell(f"{100 * share:+.2f} points", share)


def _row(heading: str, cells: list[Cell]) -> list[Cell]:
    return [Cell(heading), *cells]


def _some(codes: list[str], most: int = 5) -> str:
    if not codes:
        return "0"
    return f"{len(codes):,}: {', '.join(codes[:most])}{', …' if len(codes) > most else ''}"


def _years(first: int | None, last: int | None) -> str:
    return NOTHING if first is None else f"{first}–{last}"


def _drift(audit: dict[str, Any], levels: Sequence[str]) -> Table:
    records = [
        {
            "level": level_name(level),
            "split": split,
            "distance": found["total_variation"],
            "by_chance": found["total_variation_by_chance"],
            "untrained": len(found["untrained_labels"]),
            "documents": float(sum(found["untrained_labels"].values())),
        }
        for level in levels
        for split, found in ((name, audit["drift"][level][name]) for name in SCORED_SPLITS)
    ]
    columns = {
        "level": ("Level", text),
        "split": ("Split", text),
        "distance": ("Distance from train", measure),
        "by_chance": ("By chance", measure),
        "untrained": ("Labels without training documents", whole),
        "documents": ("Documents with them", amount),
    }
    caption = (
        "Drift: the part of the labels of a split that would have to be others to be distributed as in train (total "
        "variation distance), and the same for random splits of these sizes."
    )
    return table_of("drift", caption, pl.DataFrame(records, infer_schema_length=None), columns)
