"""Provenance: in a file of its own beside what it is about, without time, host or path."""

import pytest

from ipcascade import __version__
from ipcascade.core.errors import UserError
from ipcascade.core.files import folder_checksum
from ipcascade.core.provenance import read_provenance, write_provenance

# SHA-256 of "abc", from FIPS 180-2
OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_it_is_beside_a_file_and_holds_version_options_and_checksums(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"abc")
    (tmp_path / "corpus.parquet").write_text("content")
    write_provenance(
        tmp_path / "corpus.parquet", {"seed": 1}, {"delivery": tmp_path / "in.csv"}, checksums={"tokens": "f" * 64}
    )
    assert (tmp_path / "corpus.parquet").read_text() == "content"
    assert (tmp_path / "corpus.provenance.json").exists()
    found = read_provenance(tmp_path / "corpus.parquet")
    assert found["ipcascade"] == __version__
    assert found["options"] == {"seed": 1}
    assert found["inputs"] == {"delivery": OF_ABC, "tokens": "f" * 64}
    assert str(tmp_path) not in (tmp_path / "corpus.provenance.json").read_text()


def test_it_is_inside_a_folder_and_does_not_change_its_checksum(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"abc")
    before = folder_checksum(folder)
    write_provenance(folder, {}, {"weights": folder / "weights"})
    assert read_provenance(folder)["inputs"] == {"weights": OF_ABC}
    assert folder_checksum(folder) == before


def test_the_same_origin_gives_the_same_bytes_elsewhere(tmp_path):
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "in.csv").write_bytes(b"abc")
        write_provenance(folder / "out.parquet", {"seed": 1}, {"delivery": folder / "in.csv"})
        written.append((folder / "out.provenance.json").read_bytes())
    assert written[0] == written[1]


def test_a_file_without_provenance_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"out.provenance.json does not exist"):
        read_provenance(tmp_path / "out.parquet")
