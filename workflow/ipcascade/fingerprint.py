"""What a step's code is: one hash over the modules that can change its result.

Snakemake re-runs nothing when an imported module changes, and re-runs everything when a checkout touches files. So each
rule carries this hash as a parameter instead. It covers the step's own module and every module of the package that it
imports, directly or not, as syntax trees without comments, docstrings and layout: rewording a comment retrains nothing.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent

# These reach a result only as options (which rules carry by themselves) or never: wording, progress, the command line,
# where things run.
WITHOUT_EFFECT = frozenset(
    f"ipcascade{module}" for module in ("", ".config", ".errors", ".progress", ".cli", ".devices")
)


def step_fingerprint(step: str) -> str:
    """16 hexadecimal digits that change when code behind `ipcascade <step>` changes in more than wording."""
    return module_fingerprint(f"ipcascade.steps.{step}")


def module_fingerprint(start: str) -> str:
    """The same for a module and all that it imports from the package."""
    digest = hashlib.sha256()
    for module in sorted(modules_of(start)):
        digest.update(f"{module}\n{_normalised_source(module)}\n".encode())
    return digest.hexdigest()[:16]


def modules_of(start: str) -> frozenset[str]:
    """The modules of the package that `start` imports, directly or not, itself included."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        module = ahead.pop()
        if module not in found and module not in WITHOUT_EFFECT:
            found.add(module)
            ahead.extend(_imports(module))
    return frozenset(found)


def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    assert path is not None, module
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> frozenset[str]:
    path = _path(module)
    assert path is not None, module
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            anchor = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (anchor, node.module) if part)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name.split(".")[0] == "ipcascade" and _path(name) is not None)


@cache
def _normalised_source(module: str) -> str:
    tree = ast.parse(ast.unparse(_tree(module)))
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node, clean=False) is not None:
                    node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
