"""What every stage uses: errors, files, provenance, random streams, progress, the label tree, documents."""
