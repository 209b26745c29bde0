"""Train, validation and test: stratified by label, groups of documents kept whole, audited."""
