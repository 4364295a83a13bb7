"""The Cohere v2 wire."""
