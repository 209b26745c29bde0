"""A synthetic delivery in the layout of PATSTAT Global."""
