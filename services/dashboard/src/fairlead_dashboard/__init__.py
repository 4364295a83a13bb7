"""The web pages, live over the bus."""
