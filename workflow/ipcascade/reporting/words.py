"""Words of tables and figures: names of levels, plurals, counts, lists, amounts."""

from collections.abc import Sequence

_IRREGULAR = {"epoch": "epochs", "series": "series"}


def level_name(level: str) -> str:
    """A level as readers see it: "main group" for main_group."""
    return level.replace("_", " ")


def plural(word: str) -> str:
    """The English plural: section, sections; class, classes; category, categories."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in set("aeiou"):
        return f"{word[:-1]}ies"
    return f"{word}s"


def count(number: int, word: str) -> str:
    """A number of things: "1 class", "1,000 documents"."""
    return f"{number:,} {word if number == 1 else plural(word)}"


def listed(items: Sequence[str]) -> str:
    """Items as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)


def capitalised(text: str) -> str:
    """The text with a capital letter first and the others as they are."""
    return text[:1].upper() + text[1:]


def sentence_case(title: str) -> str:
    """A title that is all in capitals, as in the IPC, as a sentence; any other as it is."""
    return capitalised(title.lower()) if title.isupper() else title


def duration(seconds: float) -> str:
    """Seconds in two digits and the unit that suits them: "0 s", "45 s", "12 min", "3.4 h", "14 h", "120 h"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    if seconds < 59.5 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 9.95 else f"{hours:.0f} h"


def gibibytes(mebibytes: float) -> str:
    """Memory in two digits: "0.3 GiB", "14 GiB"."""
    amount = mebibytes / 1024
    return f"{amount:.1f} GiB" if amount < 9.95 else f"{amount:.0f} GiB"
