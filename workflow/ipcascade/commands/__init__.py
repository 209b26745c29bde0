"""One module per rule, named like it: files in, files out. Reads, calls the library, writes; no algorithm."""
