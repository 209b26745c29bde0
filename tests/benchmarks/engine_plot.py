"""The plot of the engine benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from benchmarks.engine_contenders import OWN
from ipcascade.reporting.options import FigureOptions
from ipcascade.reporting.style import applied, level_colour, new_figure, save, tint

TITLES = {"train": "Training", "score": "Scoring"}


def draw(report: Mapping[str, Any], stem: Path) -> None:
    """Write `stem`.png, .svg and .pdf: documents/s of every contender, one panel per task."""
    options = FigureOptions()
    tasks = report["tasks"]
    bars = max(len(contenders) for contenders in tasks.values())
    with applied(options):
        figure = new_figure(options, 0.7 + 0.3 * bars)
        figure.set_layout_engine("constrained", wspace=0.04)
        panels = figure.subplots(1, len(tasks), squeeze=False)[0]
        for axes, (task, contenders) in zip(panels, tasks.items(), strict=True):
            _panel(axes, TITLES[task], contenders, options)
        for axes in panels[1:]:
            axes.set_yticklabels([])
    save(figure, stem, options)


def _panel(axes: Axes, title: str, contenders: Mapping[str, Mapping[str, Any]], options: FigureOptions) -> None:
    names = list(contenders)
    rates = [facts["median"] for facts in contenders.values()]
    colours = [level_colour(options, 0) if name == OWN else tint(options.colours.neutral, 0.45) for name in names]
    axes.barh(names, rates, height=0.62, color=colours)
    for position, (name, facts) in enumerate(contenders.items()):
        rate, memory = _labels(name, facts)
        axes.annotate(
            rate, (facts["median"], position), xytext=(3, 0.5), textcoords="offset points", va="bottom",
            fontsize=options.font_size - 0.5, fontweight="bold" if name == OWN else "normal",
        )  # fmt: skip
        axes.annotate(
            memory, (facts["median"], position), xytext=(3, -0.5), textcoords="offset points", va="top",
            fontsize=options.font_size - 1.5, color=options.colours.neutral,
        )  # fmt: skip
    axes.set_title(title, loc="left", fontsize=options.font_size + 0.5)
    axes.set_xlabel("documents/s")
    axes.set_xlim(0, max(rates) * 1.5)
    axes.tick_params(axis="y", length=0)


def _labels(name: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    rate, ratio = f"{facts['median']:,.{0 if facts['median'] >= 100 else 1}f}", facts["ratio"]
    beside_bar = rate if name == OWN or ratio is None else f"{rate}  (ipcascade: {ratio:.1f}x)"
    if facts["peak_gpu_mib"] is not None:
        return beside_bar, f"{facts['peak_gpu_mib'] / 1024:.1f} GiB of the GPU"
    return beside_bar, f"{facts['peak_mib'] / 1024:.1f} GiB"
