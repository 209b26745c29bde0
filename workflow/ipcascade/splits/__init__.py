"""Train, validation and test: by label, year or office, groups of documents kept whole, audited."""
