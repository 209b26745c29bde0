"""Where documents come from: every source ends in the same tables."""
