"""The way bytes travel to a provider, behind one small protocol."""
