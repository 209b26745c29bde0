"""Mutated deliveries against a strict reading: the right corpus or one sentence; no traceback, no changed corpus."""

import io
import random
import shutil
import warnings
import zipfile

import pytest
from amount import BATCHES, seeds
from mutations import damage_zip, mutate
from strict import Refused, delivery_rows

from brute_force import corpus_of
from built import build
from deliveries import HEADERS, NAMES, abstract, application, csv_bytes, symbol, zip_bytes
from ipcascade.core.errors import UserError
from ipcascade.core.label_tree import IPC, LabelTree
from ipcascade.corpus.options import CorpusOptions
from ipcascade.sources.patstat.source import open_patstat

TREE = LabelTree.read(IPC).select(["section", "class"])
OPTIONS = CorpusOptions(documents=None, minimum_words=3)
TEXTS = [
    "a rotor and a stator", 'a "quoted" word, a comma', 'lines,\r\nof "several"\nparts', "backslash \\ and\ttab\\",
    "水素 and µ-channels", '"closed" quotes at "both ends"', "one\rtwo three four", "short",
]  # fmt: skip
COUNT_WORDS = ["{} count: {}", "{} Count: {:,}", "{};{}", '"{}","{}"', "Zeilen in {}: {}", "- {}   rows {} -"]


def tables(rng):
    """CSVs by table: one or two parts each, of up to eight applications."""
    ids = rng.sample(range(1, 60), rng.randint(2, 8))
    rows = {
        "tls201": [application(i, docdb_family_id=rng.choice([0, i, 5])) for i in ids],
        "tls203": [abstract(i, f"{rng.choice(TEXTS)} {i}", rng.choice(["en", "en", "en", "de"])) for i in ids],
        "tls209": [symbol(i, rng.choice(["A01B  33/00", "H04L   9/00", "C07D"])) for i in ids for _ in range(2)],
    }
    parts = {}
    for table, content in rows.items():
        middle = rng.randint(0, len(content)) if rng.random() < 0.3 else len(content)
        halves = [content[:middle], content[middle:]] if middle < len(content) else [content]
        parts[table] = [csv_bytes(HEADERS[table], half, bom=rng.random() < 0.2) for half in halves]
    return parts


def write(folder, parts, counts, rng):
    """Write the parts in a random layout, with files beside them that are no part of the delivery."""
    layout = rng.choice(["plain", "flat", "nested", "nested_deflated", "folders"])
    outer = {}
    for table, contents in parts.items():
        for number, content in enumerate(contents, start=1):
            name = f"{NAMES[table]}_part{number:02}"
            packed = {f"{name}.csv": content}
            if rng.random() < 0.1:
                packed[f"__MACOSX/._{name}.csv"] = b"\0\5\26\7"
            if layout == "plain":
                (folder / f"{name}.csv").write_bytes(content)
            elif layout == "folders":
                (folder / NAMES[table]).mkdir(exist_ok=True)
                (folder / NAMES[table] / f"{name}.csv").write_bytes(content)
            elif layout == "flat":
                (folder / f"{name}.zip").write_bytes(zip_bytes(packed))
            else:
                outer[f"{name}.zip"] = zip_bytes(packed)
    if outer:
        method = zipfile.ZIP_STORED if layout == "nested" else zipfile.ZIP_DEFLATED
        (folder / "data_PATSTAT_01.zip").write_bytes(zip_bytes(outer, method))
    if counts:
        words = rng.choice(COUNT_WORDS)
        text = "\r\n".join(words.format(NAMES[table], rows) for table, rows in counts.items())
        encoding = rng.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
        (folder / rng.choice(["RowCount.txt", "row_count.csv", "RowCount"])).write_bytes(text.encode(encoding))
    for name in rng.sample(["._tls201_appln_part01.zip", "thesis.zip", ".DS_Store", "notes.txt"], rng.randint(0, 2)):
        (folder / name).write_bytes(rng.randbytes(rng.randint(0, 90)))
    return layout


def outcome(folder, block_bytes=1 << 20):
    """The corpus as a list of rows, or the sentence."""
    try:
        corpus, _ = build(open_patstat(folder, block_bytes=block_bytes), TREE, OPTIONS, 1)
    except UserError as error:
        sentence = str(error)
        assert sentence and "\n" not in sentence, sentence
        return sentence
    return corpus.to_dicts()


def expected(parts, counts):
    """The right corpus, or why there is none."""
    try:
        corpus, left = corpus_of(delivery_rows(parts, counts), OPTIONS, TREE)
    except Refused as refusal:
        return f"must be refused: {refusal}"
    return corpus if min(left) > 0 else "must be refused: empty"


def new_folder(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutated_tables(tmp_path, batch):
    """What a strict reading accepts is read as it is, and all else is refused."""
    read = 0
    for seed in seeds(batch, 0.4):
        rng = random.Random(seed)
        parts = tables(rng)
        counts = expected_counts(parts) if rng.random() < 0.4 else {}
        for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
            table = rng.choice(list(parts))
            place = rng.randrange(len(parts[table]))
            parts[table][place] = mutate(parts[table][place], rng)
        if rng.random() < 0.05:
            table = rng.choice(list(parts))
            parts[table].append(rng.choice(parts[table]))
        folder = new_folder(tmp_path / "delivery [1] {x} *?")
        write(folder, parts, counts, rng)
        block_bytes = rng.choice([1 << 9, 1 << 12, 1 << 20])
        found, right = outcome(folder, block_bytes), expected(parts, counts)
        read += isinstance(right, list)
        if isinstance(right, list) and isinstance(found, str) and block_bytes < 1 << 20 and "longer than" in found:
            continue  # a row that is longer than these small blocks
        if isinstance(right, str):
            assert isinstance(found, str), (seed, right, found)
        else:
            assert found == right, (seed, found, right)
    assert read, "some are read"


def expected_counts(parts):
    """The rows of each table, from parts that are not mutated."""
    return {table: len(rows) for table, rows in delivery_rows(parts, {}).items()}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damaged_zips(tmp_path, batch):
    """A damaged zip gives the corpus that is in it, or a sentence; one beside the delivery changes nothing."""
    for seed in seeds(batch, 0.2):
        rng = random.Random(seed)
        parts = tables(rng)
        folder = new_folder(tmp_path / "delivery")
        write(folder, parts, expected_counts(parts) if rng.random() < 0.5 else {}, rng)
        right = expected(parts, {})
        if rng.random() < 0.2:
            other = io.BytesIO(zip_bytes({"thesis.txt": b"of mine", "chapter.csv": b"a,b\r\n"}))
            (folder / "thesis.zip").write_bytes(damage_zip(other.getvalue(), rng))
            found = outcome(folder)
            assert found == right or (isinstance(right, str) and isinstance(found, str)), (seed, found, right)
            continue
        zips = [path for path in folder.glob("*.zip") if path.name[:3] in ("tls", "dat")]
        if not zips:
            continue
        path = rng.choice(sorted(zips))
        path.write_bytes(damage_zip(path.read_bytes(), rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zipfile, about names that are there twice
            found = outcome(folder)
        if isinstance(right, list) and isinstance(found, list):
            assert found == right, seed
        else:
            assert isinstance(found, str), (seed, found, right)
