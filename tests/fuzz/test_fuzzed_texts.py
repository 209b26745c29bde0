"""Mutated tables of new texts against a strict reading: all rows as they are, or one sentence."""

import csv
import io
import random

import polars as pl
import pytest
from amount import BATCHES, seeds
from mutations import mutate
from strict import Refused, rows_of

from ipcascade.core.errors import UserError
from support import read_texts

COLUMNS = ["document_id", "text"]
CELLS = [
    "a pump",
    'a 5" pipe',
    'a "smart" one, with a comma',
    "two\r\nlines",
    "水素 ß",
    "",
    " ",
    "x\\",
    '"',
    "one\rtwo",
]


def table(rng):
    """A CSV of a few texts, with quotes where they are needed or around all."""
    names = rng.choice([COLUMNS, [*COLUMNS, "note"], ["title", *COLUMNS]])
    stream = io.StringIO(newline="")
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    writer = csv.writer(stream, quoting=quoting, lineterminator=rng.choice(["\n", "\r\n"]))
    writer.writerow(names)
    for number in range(rng.randint(1, 6)):
        cells = {"document_id": f"d{number}", "text": rng.choice(CELLS[:5]), "note": rng.choice(CELLS)}
        writer.writerow([cells.get(name, rng.choice(CELLS)) for name in names])
    return stream.getvalue().encode(rng.choice(["utf-8", "utf-8", "utf-8-sig"]))


def expected(content):
    try:
        rows = rows_of(content, COLUMNS, any_case=False)
        names = next(csv.reader(io.StringIO(content.decode("utf-8-sig", errors="surrogateescape"), newline="")))
        rows_of(content, [name.strip() for name in names], any_case=False)  # the other columns are kept, too
    except Refused as refusal:
        return f"must be refused: {refusal}"
    ids = [row["document_id"] for row in rows]
    empty = any(not value.strip() for row in rows for value in row.values())
    return "must be refused: ids, texts" if not rows or empty or len(set(ids)) < len(ids) else rows


def outcome(path):
    try:
        return read_texts(path).to_dicts()
    except UserError as error:
        sentence = str(error)
        assert str(path) in sentence and "\n" not in sentence, sentence
        return sentence


@pytest.mark.parametrize("batch", range(BATCHES))
def test_mutated_texts(tmp_path, batch):
    read = 0
    for seed in seeds(batch, 0.35):
        rng = random.Random(seed)
        content = table(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
            content = mutate(content, rng)
        path = tmp_path / rng.choice(["new.csv", "NEW.CSV", "new[1] {x}*?.csv"])
        path.write_bytes(content)
        found, right = outcome(path), expected(content)
        read += isinstance(right, list)
        if isinstance(right, str):
            assert isinstance(found, str), (seed, right, found, content)
        else:
            assert found == right, (seed, found, right, content)
    assert read, "some are read"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damaged_parquet(tmp_path, batch):
    """A Parquet file with a flipped byte gives a table of texts, or one sentence."""
    path = tmp_path / "new.parquet"
    for seed in seeds(batch, 0.05):
        rng = random.Random(seed)
        ids = [f"d{number}" for number in range(rng.randint(1, 30))]
        pl.DataFrame({"document_id": ids, "text": [rng.choice(CELLS[:5]) for _ in ids]}).write_parquet(path)
        content = bytearray(path.read_bytes())
        content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        outcome(path)
