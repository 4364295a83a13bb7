"""The command line and the embedded stack (fairlead up)."""
