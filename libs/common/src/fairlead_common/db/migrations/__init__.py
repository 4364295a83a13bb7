"""The one Alembic history of all tables; ``upgrade`` brings a database to its head."""
