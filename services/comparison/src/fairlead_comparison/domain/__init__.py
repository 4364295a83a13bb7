"""The decisions of comparison: what is counted, what a difference is worth, who wins. Pure functions."""
