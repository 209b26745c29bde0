"""One module a rule: files in, files out, options in. No algorithm."""
