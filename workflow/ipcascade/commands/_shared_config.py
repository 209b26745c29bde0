"""The config as it is handed on: without what tells of the machine that it was run on."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ipcascade.config import Config
from ipcascade.matrices.options import NACE, SHIPPED_CONCORDANCES

# Keys of the config that may hold paths of this machine.
PATHS = (
    ("source", "path"), ("source", "scratch"), ("corpus", "label_tree"), ("corpus", "renamed_codes"),
    ("prediction", "inputs"),
)  # fmt: skip


def without_paths(config: Config) -> dict[str, Any]:
    """The config as plain values, with defaults in place of paths."""
    content, defaults = _plain(config), _plain(Config())
    for section, key in PATHS:
        content[section][key] = defaults[section][key]
    content["encoder"]["name"] = encoder_name(content["encoder"]["name"])
    for matrix in content["matrices"].values():
        if matrix["concordance"] not in (None, NACE, *SHIPPED_CONCORDANCES):
            matrix["concordance"] = Path(matrix["concordance"]).name
    return content


def as_yaml(content: Mapping[str, Any]) -> str:
    """Plain values as YAML, in their order."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def encoder_name(name: str) -> str:
    """The name of an encoder; of a folder on this machine the last part alone."""
    is_known = name.startswith("package:") or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name)
    return name if is_known and not Path(name).is_dir() else Path(name).name


def changed_keys(content: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The keys ("training.epochs") whose values are not the defaults, with both."""
    return dict(_differences(content, _plain(Config()), ""))


def _differences(given: Mapping[str, Any], defaults: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for key, value in given.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict) and default:
            yield from _differences(value, default, f"{place}{key}.")
        elif value != default:
            yield f"{place}{key}", (value, default)


def _plain(config: Config) -> dict[str, Any]:
    return config.model_dump(mode="json", by_alias=True)
