"""Validate an RO-Crate with roc-validator: run by the Python that has it, with the crate's folder and a profile.

The validator would fetch the JSON-LD context that a crate names. It gets the copy that the package rocrate carries, so
that this runs without a network. Prints a line per problem; the exit code is 1 where there is one.
"""

import json
import sys
from pathlib import Path

import rocrate
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.services import validate
from rocrate_validator.utils import document_loader

CONTEXT = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())
# The copy is of a later version; in that of the crate, 1.1, these two have other addresses.
CONTEXT["@context"] |= {name: f"https://bioschemas.org/{name}" for name in ("ComputationalWorkflow", "FormalParameter")}


def carried(url: str) -> object:
    """The context of RO-Crate."""
    if not url.startswith("https://w3id.org/ro/crate/"):
        raise OSError(f"{url} is not carried")
    return CONTEXT


document_loader._fetch_json_ld = carried
document_loader.install_document_loader()
severity = Severity[sys.argv[3]] if len(sys.argv) > 3 else Severity.REQUIRED
# These two ask the network for the context.
ASKING = ["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"]
settings = ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier=sys.argv[2], requirement_severity=severity, skip_checks=ASKING
)
result = validate(settings)
for issue in result.get_issues(severity):
    print(f"{issue.severity.name} {issue.check.identifier}: {issue.message} [{issue.violatingEntity}]")
sys.exit(0 if result.passed(severity) else 1)
