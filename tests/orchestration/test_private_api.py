"""Private parts of libraries are used in one module each, with tests that fail clearly where they changed."""

import re

import pytest

from support import REPOSITORY

PACKAGE = REPOSITORY / "workflow/ipcascade"
TORCH = re.compile(r"\btorch\.(?:\w+\.)*_(?!_)\w+|\bfrom torch(?:\.\w+)*\._\w+|\bfrom torch(?:\.\w+)* import _\w+")
SNAKEMAKE = re.compile(r"^\s*(?:from|import) snakemake|\bworkflow\._\w+", flags=re.MULTILINE)
MODULES = {"runtime/torch_private.py": TORCH, "orchestration/snakemake_private.py": SNAKEMAKE}


@pytest.mark.parametrize("module", MODULES)
def test_private_parts_are_used_in_one_module(module):
    private = MODULES[module]
    used = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if private.search(path.read_text())}
    assert used == {module}


def test_private_parts_are_recognised():
    for text in ("torch.ops.aten._x(1)", "torch._int_mm(a, b)", "from torch._dynamo import x", "from torch import _C"):
        assert TORCH.search(text)
    assert not TORCH.search("torch.nn.functional.linear(a, __class__)")
