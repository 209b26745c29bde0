"""A PATSTAT Global delivery, read in place."""
