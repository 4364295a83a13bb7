"""One package per vendor: its paths and errors, its models, how it reads requests and writes answers."""
