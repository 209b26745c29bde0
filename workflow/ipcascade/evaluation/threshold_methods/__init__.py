"""How thresholds are fitted, one module per method; fit.py chooses by the config."""
