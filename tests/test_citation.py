"""What archives read of the project says the same in both files."""

import json

import yaml

from ipcascade import __version__
from support import REPOSITORY


def test_citation_and_zenodo_agree():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    zenodo = json.loads((REPOSITORY / ".zenodo.json").read_text())
    assert citation["title"] == zenodo["title"] and citation["license"] == zenodo["license"]
    assert citation["version"] == __version__ and citation["keywords"] == zenodo["keywords"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in zenodo["creators"]]
