"""Scores of answers, from A/B tests: kept, summed by model and task class, and published for the edges."""
