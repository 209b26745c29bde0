"""The command `join_predictions`: only shares of one labelling are put together."""

import json

import polars as pl

from ipcascade.cli import main
from ipcascade.core.files import write_parquet
from ipcascade.core.provenance import read_provenance, write_provenance


def share(folder, name, rows, texts="1" * 64):
    path = folder / f"{name}.parquet"
    write_parquet(path, pl.DataFrame({"document_id": rows, "A": [0.5] * len(rows)}) if rows else pl.DataFrame())
    write_provenance(path, {"scoring": {"batching": "packed"}}, {}, {"texts": texts})
    return str(path)


def test_shares_come_in_their_order_and_keep_what_they_were_made_of(tmp_path):
    shares = [share(tmp_path, "a", ["x", "y"]), share(tmp_path, "b", []), share(tmp_path, "c", ["z"])]
    assert main(["join_predictions", "--shares", *shares, "--predictions", str(tmp_path / "p.csv")]) == 0
    assert (tmp_path / "p.csv").read_text() == "document_id,A\nx,0.5\ny,0.5\nz,0.5\n"
    assert read_provenance(tmp_path / "p.csv")["inputs"] == {"texts": "1" * 64}


def test_shares_of_different_texts_are_refused(tmp_path, capsys):
    shares = [share(tmp_path, "a", ["x"]), share(tmp_path, "b", ["y"], texts="2" * 64)]
    assert main(["join_predictions", "--shares", *shares, "--predictions", str(tmp_path / "p.csv")]) == 1
    assert "b.parquet and" in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists()


def test_another_ending_is_refused(tmp_path, capsys):
    written = str(tmp_path / "p.json")
    assert main(["join_predictions", "--shares", share(tmp_path, "a", ["x"]), "--predictions", written]) == 1
    assert "predictions are written as .parquet or .csv" in capsys.readouterr().err
    assert json.loads((tmp_path / "a.provenance.json").read_text())
