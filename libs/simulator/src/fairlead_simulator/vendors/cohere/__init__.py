"""The simulated Cohere."""
