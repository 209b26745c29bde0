"""Measures, thresholds, decoding, confidence intervals, the training history, the linear baseline."""
