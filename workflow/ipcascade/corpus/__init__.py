"""From a delivery to documents with texts and labels: filters, labels, families, sampling, and the funnel."""
