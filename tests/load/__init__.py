"""Measuring the edge: a lean upstream, a lean load generator, and the benchmark that puts the edge between them."""
