"""The wire formats: pure translation between the unified form and the bytes of one protocol. No I/O, no keys."""
