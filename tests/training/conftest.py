"""Fixtures of the tests of training."""

import pytest


@pytest.fixture
def fp16_on_cpu(monkeypatch):
    """Run the fp16 path, gradient scaling included, where there is no GPU."""
    monkeypatch.setattr("ipcascade.commands.train.resolve_precision", lambda option, device, section: "fp16")
