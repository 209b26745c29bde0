"""Debian's LaTeX, for tests of what is written for it. Tests that need it are skipped where it is not installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

needs_latex = pytest.mark.skipif(
    not (shutil.which("pdflatex") and shutil.which("pdftotext")), reason="LaTeX is not installed (tests/latex-install)"
)


def typeset(body: str, folder: Path) -> str:
    """The text of the PDF that LaTeX makes of a document in `folder`.

    Fails where LaTeX reports an error, a reference to nothing, or a line that is too wide.
    """
    packages = [r"\usepackage[T1]{fontenc}", r"\usepackage{lmodern}", r"\usepackage{booktabs,graphicx}"]
    lines = [r"\documentclass{article}", *packages, r"\pagestyle{empty}", r"\begin{document}", body, r"\end{document}"]
    (folder / "paper.tex").write_text("\n".join(lines), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    for _ in range(2):  # references to tables are known the second time
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        log = done.stdout.decode("utf-8", errors="replace")
        assert done.returncode == 0, log[-3000:]
    assert "undefined" not in log, log
    too_wide = [line for line in log.splitlines() if line.startswith("Overfull \\hbox")]
    assert not too_wide, too_wide
    text = subprocess.run(["pdftotext", "-layout", "paper.pdf", "-"], cwd=folder, capture_output=True, check=True)
    return text.stdout.decode("utf-8")
