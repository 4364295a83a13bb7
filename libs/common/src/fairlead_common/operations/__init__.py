"""Request/reply operations, one module per service that answers them; the edge's control API is their caller."""
