"""From documents to probabilities, and from new texts to labels."""
