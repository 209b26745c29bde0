"""A run as a Workflow Run RO-Crate: what was made, by which workflow, from what, with checksums.

The profile is Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5) on RO-Crate 1.1. The whole run is one
action whose instrument is the workflow. Each result whose provenance is known is the result of an action of its own,
whose objects are the files that it was made from: those that lie in the crate, or, by their checksums, those that do
not, such as texts, which may not be handed on.
"""

import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from ipcascade.core.files import file_checksum
from ipcascade.core.provenance import provenance_file, read_provenance

SPECIFICATION = "1.1"
README = "README.md"
_PYTHON = "https://www.python.org/"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# What mimetypes knows on no machine, or not on all.
_FORMATS = {
    ".md": "text/markdown", ".tex": "application/x-tex", ".yaml": "application/yaml", ".smk": "text/x-python",
    "Snakefile": "text/x-python",
    ".svg": "image/svg+xml", ".parquet": "application/vnd.apache.parquet", ".csv": "text/csv",
}  # fmt: skip


# Licences of the hub that SPDX knows, too.
_SPDX = {
    "mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-3-clause": "BSD-3-Clause", "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-4.0": "CC-BY-SA-4.0", "cc-by-nc-4.0": "CC-BY-NC-4.0",
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """What a crate says beside its files.

    name, description, licence (an identifier of the hub; None: none was stated): of the run. authors: their names.
    source: what the documents are. versions: of ipcascade and of the packages that it used.
    """

    name: str
    description: str
    licence: str | None
    authors: Sequence[str]
    source: str
    versions: Mapping[str, str]


def write_crate(
    folder: Path, results: Path, files: Sequence[Path], texts: Mapping[str, str], workflow: Mapping[str, Path],
    described: Described,
) -> None:  # fmt: skip
    """Write the crate into a folder, which need not exist.

    results: the results folder; files: those of it that are handed on, copied; texts: further files, by name, with
    their content; workflow: the workflow's files by their names in the crate, the main one first. Raises UserError
    where a provenance file is damaged.
    """
    crate = ROCrate(version=SPECIFICATION)
    ended = _latest(files)
    crate.datePublished = ended
    crate.name, crate.description = described.name, described.description
    crate.license = _licence(crate, described)
    people = [_add(crate, f"#author-{n}", "Person", name=name) for n, name in enumerate(described.authors, start=1)]
    if people:
        crate.root_dataset["author"] = _one_or_all(people)
    crate.root_dataset["conformsTo"] = [
        _add(crate, place, "CreativeWork", name=name, version=version) for place, (name, version) in PROFILES.items()
    ]
    main, *others = workflow
    programme = crate.add_workflow(
        workflow[main], main, main=True, lang="snakemake", properties=_of_file(workflow[main])
    )
    programme["name"] = "ipcascade"
    programme["version"] = described.versions["ipcascade"]
    parts = [crate.add_file(workflow[name], name, properties=_of_file(workflow[name])) for name in others]
    programme["hasPart"] = parts
    programme["softwareRequirements"] = [
        _add(crate, place, "SoftwareApplication", name=name, version=version, url=place)
        for name, version in described.versions.items()
        for place in [_PYTHON if name == "Python" else f"https://pypi.org/project/{name}/{version}/"]
    ]
    added = {path: _add_file(crate, path, path.relative_to(results).as_posix()) for path in files}
    with TemporaryDirectory() as temporary:
        for name, content in texts.items():
            source = Path(temporary) / name
            source.write_text(content, encoding="utf-8")
            added[source] = _add_file(crate, source, name)
            if name == README:
                added[source]["about"] = crate.root_dataset
        _add_actions(crate, added, programme, described, ended)
        crate.write(folder)


def _add_actions(
    crate: ROCrate, added: Mapping[Path, Entity], programme: Entity, described: Described, ended: datetime
) -> None:
    """The action of the run, and one for the results of each provenance file."""
    by_checksum = {str(entity["sha256"]): entity for entity in added.values()}
    outside: dict[str, Entity] = {}

    def made_from(role: str, checksum: str) -> Entity:
        if checksum in by_checksum:
            return by_checksum[checksum]
        if checksum not in outside:
            outside[checksum] = _add(
                crate, f"#sha256-{checksum}", "CreativeWork", name=role, sha256=checksum,
                description=f"{role}: not part of this crate, known by its SHA-256",
            )  # fmt: skip
        return outside[checksum]

    together: dict[Path, list[Path]] = {}
    for path in added:  # a file has its provenance beside it, or shares that of its folder
        for of in (path, path.parent):
            if provenance_file(of).is_file():
                together.setdefault(of, []).append(path)
                break
    # Those of one figure, in several formats, have one file of provenance.
    by_record: dict[Path, tuple[Path, list[Path]]] = {}
    for of, paths in together.items():
        by_record.setdefault(provenance_file(of), (of, []))[1].extend(paths)
    actions = []
    for of, paths in by_record.values():
        inputs = [made_from(*item) for item in sorted(read_provenance(of)["inputs"].items())]
        made = [added[path] for path in paths]
        properties = {
            "name": f"Making {made[0].id}",
            "description": f"Makes {', '.join(entity.id for entity in made)} from inputs known by their SHA-256",
            "endTime": _latest(paths).isoformat(),
        }
        action = crate.add_action(programme, f"#made-{made[0].id}", _one_or_all(inputs), _one_or_all(made), properties)
        actions.append(action)
    source = _add(crate, "#source", "CreativeWork", name=described.source, description="where the documents come from")
    run = crate.add_action(
        programme, "#run", object=[source, *outside.values()], result=list(added.values()),
        properties={
            "name": f"Run of {described.name}", "description": described.description, "endTime": ended.isoformat(),
        },
    )  # fmt: skip
    if described.authors:
        for action in (run, *actions):
            action["agent"] = crate.root_dataset["author"]
    crate.root_dataset["mentions"] = [run, *actions]


def _latest(files: Sequence[Path]) -> datetime:
    """When the last of them was made."""
    return datetime.fromtimestamp(max(path.stat().st_mtime for path in files), UTC).replace(microsecond=0)


def _licence(crate: ROCrate, described: Described) -> Entity:
    if spdx := _SPDX.get(described.licence or ""):
        place = f"https://spdx.org/licenses/{spdx}"
        return _add(crate, place, "CreativeWork", name=spdx, description="SPDX identifier of the licence")
    text = f"The data ({described.source}) have terms of their own."
    return _add(crate, "#licence", "CreativeWork", name=described.licence or "no licence stated", description=text)


def _one_or_all(entities: list[Entity]) -> Entity | list[Entity]:
    """As RO-Crate 1.1 wants it: a single value is no list."""
    return entities[0] if len(entities) == 1 else entities


def _add_file(crate: ROCrate, path: Path, name: str) -> Entity:
    return crate.add_file(path, name, properties=_of_file(path) | {"name": name})


def _of_file(path: Path) -> dict[str, Any]:
    kind = _FORMATS.get(path.suffix or path.name) or mimetypes.guess_type(path.name)[0]
    known = {"encodingFormat": kind} if kind else {}
    return {"sha256": file_checksum(path), "contentSize": str(path.stat().st_size), **known}


def _add(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> Entity:
    return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))
