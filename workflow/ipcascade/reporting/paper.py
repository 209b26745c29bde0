"""Numbers of a run as LaTeX macros, so that a text cites them by name and none is typed by hand.

A macro's name is made of the words of its place in the results: \\testClassFOneMicro is measures.class.f1_micro of
metrics/test.json. LaTeX allows letters only, so digits are written out: F1 is FOne, "precision at 5" PrecisionAtFive.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ipcascade.core.names import SPLITS
from ipcascade.reporting.tables import escape_latex

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
# What else may be in a name: of runs and levels.
_SIGNS = re.compile(r"[^A-Za-z0-9]+")

# Keys whose whole numbers are no amounts.
_NAMES_OF_NUMBERS = ("seed", "first_year", "last_year")

Macro = tuple[str, str]
"""The name of a macro without its backslash, and what it stands for."""


def macro_name(*parts: str) -> str:
    """The name of a macro from words: ("test", "class.f1_micro") gives testClassFOneMicro."""
    words = [word for part in parts for word in _SIGNS.split(part) if word]
    spelled = [re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], word) for word in words]
    return spelled[0] + "".join(word[:1].upper() + word[1:] for word in spelled[1:])


def data_macros(funnel: Mapping[str, Any], audit: Mapping[str, Any], tokens: Mapping[str, Any]) -> list[Macro]:
    """Of the corpus and its splits: documents, families, labels, years, lengths."""
    first, last = funnel["steps"][0], funnel["steps"][-1]
    found = [
        (macro_name("data", "source", first["unit"]), _whole(first["left"])),
        ("dataDocuments", _whole(last["left"])),
        ("dataFamilies", _whole(funnel["groups"]["groups"])),
        ("dataTokensPerDocument", f"{tokens['mean_length']:.1f}"),
        ("dataMaximumTokens", _whole(tokens["max_length"])),
        ("dataDocumentsCutOff", _whole(tokens["truncated_documents"])),
    ]
    for level, of in funnel["labels"].items():
        found.append((macro_name("data", level, "labels"), _whole(of["present"])))
        found.append((macro_name("data", level, "labels_per_document"), f"{of['mean_per_document']:.2f}"))
    for split in SPLITS:
        found.append((macro_name("data", split, "documents"), _whole(audit["splits"][split]["documents"])))
        found.append((macro_name("data", split, "share"), _percent(audit["splits"][split]["share"])))
        filings = (audit.get("first_filings") or {}).get(split, {})
        found += [
            (macro_name("data", split, name), str(filings[name]))
            for name in ("first_year", "last_year")
            if filings.get(name) is not None
        ]
    for level, distance in audit["label_distribution_distance"].items():
        found.append((macro_name("data", level, "distribution_distance"), f"{distance:.5f}"))
    return found


def measure_macros(metrics: Mapping[str, Any]) -> list[Macro]:
    """Of a metrics file: every measure of every level and over the levels, with the bounds of its interval."""
    split, measures = metrics["split"], metrics["measures"]
    found = [
        (macro_name(split, "documents"), _whole(metrics["documents"])),
        (macro_name(split, "confidence"), _percent(metrics["confidence"])),
        (macro_name(split, "bootstrap_samples"), _whole(metrics["bootstrap_samples"])),
    ]
    for group in (*metrics["levels"], "hierarchical", "reference"):
        for name, value in sorted(measures.get(group, {}).items()):
            found.append((macro_name(split, group, name), _value(value)))
            interval = metrics["confidence_intervals"].get(f"{group}.{name}")
            if interval:
                found.append((macro_name(split, group, name, "low"), _value(interval[0])))
                found.append((macro_name(split, group, name, "high"), _value(interval[1])))
    return found


def run_macros(comparison: Mapping[str, Any]) -> list[Macro]:
    """Of a comparison of runs: the measures of each, and its differences to the reference with their intervals."""
    found = []
    for row in comparison["rows"]:
        for name, value in sorted(row["measures"].items()):
            found.append((macro_name("run", row["name"], name), _value(value)))
        for name, value in sorted(row["deviations"].items()):
            found.append((macro_name("run", row["name"], name, "deviation"), _value(value)))
        for name, value in sorted(row["differences"].items()):
            found.append((macro_name("run", row["name"], name, "difference"), f"{value:+.4f}"))
            interval = row["difference_intervals"].get(name)
            if interval:
                found.append((macro_name("run", row["name"], name, "difference", "low"), f"{interval[0]:+.4f}"))
                found.append((macro_name("run", row["name"], name, "difference", "high"), f"{interval[1]:+.4f}"))
    return found


def setting_macros(settings: Mapping[str, Any], *place: str) -> list[Macro]:
    """Of the config: every number and every name, such as \\settingTrainingEpochs."""
    found: list[Macro] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += setting_macros(value, *place, key)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            shown = _whole(value) if isinstance(value, int) and key not in _NAMES_OF_NUMBERS else _number(value)
            found.append((macro_name("setting", *place, key), shown))
    return found


def macros_file(macros: Sequence[Macro], heading: str) -> str:
    r"""A file of \newcommand lines, for \input.

    Names that several places have, as of runs called a-b and a_b, are in a comment: which is meant cannot be told.
    """
    times = Counter(name for name, _ in macros)
    lines = [f"\\newcommand{{\\{name}}}{{{value}}}" for name, value in macros if times[name] == 1]
    several = [f"% left out, since several numbers have this name: {name}" for name in times if times[name] > 1]
    return "\n".join([f"% {heading}", *several, *lines]) + "\n"


def captions_file(captions: Mapping[str, str]) -> str:
    """The captions of figures as macros: captionFigureOne."""
    macros = [(macro_name("caption", name), _quoted(escape_latex(text))) for name, text in captions.items()]
    return macros_file(macros, "Captions of the figures. Made by ipcascade.")


def _quoted(text: str) -> str:
    """Text with LaTeX's quotation marks."""
    return re.sub(r'"([^"]*)"', r"``\1''", text)


def _value(value: float | None) -> str:
    if value is None:
        return "--"
    return _whole(value) if isinstance(value, int) else f"{value:.4f}"


def _whole(value: int) -> str:
    """1{,}234: LaTeX sets no space after a comma in braces, in mathematics either."""
    return f"{value:,}".replace(",", "{,}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\\%"


def _number(value: float | str) -> str:
    return escape_latex(value) if isinstance(value, str) else f"{value:.12g}"
