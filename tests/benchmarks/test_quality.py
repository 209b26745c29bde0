"""The quality benchmark: its table, and a run at three levels with a tiny encoder."""

import pytest
import torch
import yaml

from benchmarks import commands, quality
from ipcascade.cli import main as ipcascade
from ipcascade.core.documents import read_tree
from support import config_file


def run_of(value, seconds, levels):
    return {f"{level}.{name}": value for level in levels for name in quality.MEASURES} | {"seconds per epoch": seconds}


def test_the_table_has_means_deviations_and_differences_by_seed():
    """Padded minus packed by seed: 0.1 and 0.3, so the mean is 0.2, and its standard error 0.1414 / sqrt(2)."""
    found = {
        "packed": [run_of(0.4, 10.0, ["only"]), run_of(0.5, 12.0, ["only"])],
        "padded": [run_of(0.5, 20.0, ["only"]), run_of(0.8, 20.0, ["only"])],
    }
    head, rule, *rows, seconds = quality.markdown(found, ["only"]).splitlines()
    assert head == "| test | packed | padded | difference ± its standard error |"
    assert rule.count("|") == head.count("|") == seconds.count("|") == 5
    assert rows[0] == "| only f1_micro | 0.4500 ± 0.0707 | 0.6500 ± 0.2121 | +0.2000 ± 0.1000 |"
    assert [row.split()[2] for row in rows] == list(quality.MEASURES)
    assert seconds == "| seconds per epoch | 11.0 ± 1.4 | 20.0 ± 0.0 |  |"


def test_the_table_has_the_rows_of_each_level():
    levels = ["section", "class", "subclass"]
    head, _, *rows = quality.markdown({"packed": [run_of(0.25, 3.0, levels)]}, levels).splitlines()
    assert head == "| test | packed |"
    assert [row.split("|")[1].split()[0] for row in rows] == [*(level for level in levels for _ in range(3)), "seconds"]
    assert rows[-2] == "| subclass average_precision_micro | 0.2500 ± 0.0000 |"
    assert rows[-1] == "| seconds per epoch | 3.0 ± 0.0 |"


def test_three_levels_are_measured_and_finished_runs_are_kept(encoder_folder, tmp_path, monkeypatch, capsys):
    """One seed, packed, on the demo delivery, with a config of the user's; in this process."""
    started = []

    def in_this_process(command, environment):
        started.append(command[3])
        assert ipcascade(command[3:]) == 0
        return 0

    monkeypatch.setattr(commands, "run_process", in_this_process)
    delivery, levels = tmp_path / "delivery", ["section", "class", "subclass"]
    demo = config_file(tmp_path, source={"demo": {"documents": 120}})
    assert ipcascade(["demo_delivery", "--config", str(demo), "--folder", str(delivery)]) == 0
    config = config_file(
        tmp_path, corpus={"documents": None}, splits={"rare_labels": "keep"}, tokens={"max_length": 64},
        encoder={"name": str(encoder_folder)}, training={"epochs": 2, "loss_weights": {"default": 1.0}},
    )  # fmt: skip
    arguments = [
        "--source", str(delivery), "--configfile", str(config), "--folder", str(tmp_path / "quality"),
        "--levels", *levels, "--ways", "packed", "--seeds", "1", "--threads", "1",
    ]  # fmt: skip
    quality.main(arguments)
    printed = capsys.readouterr().out
    folder = tmp_path / "quality/section-class-subclass"
    assert read_tree(folder / "corpus.parquet").levels == tuple(levels)
    for level in levels:
        assert f"| {level} f1_micro |" in printed
    assert "| seconds per epoch |" in printed
    written = yaml.safe_load((folder / "packed-1/config.yaml").read_text())
    assert written["seed"] == 1
    assert written["training"] == {"epochs": 2, "loss_weights": {"default": 1.0}, "batching": "packed"}
    assert started.count("train") == 1 and started.count("score") == 2

    quality.main(arguments)
    assert capsys.readouterr().out == printed
    assert started.count("train") == 1 and started.count("score") == 2, "they were finished"


def test_int8_is_refused_before_anything_runs_where_the_processor_lacks_it(monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        quality.main(["--source", "delivery"])
    assert "--ways int8: scoring.precision: int8 needs a processor" in capsys.readouterr().err


def test_an_unknown_way_is_refused(capsys):
    with pytest.raises(SystemExit):
        quality.main(["--source", "delivery", "--ways", "int4"])
    assert "invalid choice: 'int4'" in capsys.readouterr().err
