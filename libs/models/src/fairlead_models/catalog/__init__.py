"""The catalog: which models there are, what they can do, what they cost, and what a name may stand for."""
