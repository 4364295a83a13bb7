"""The parts that are not ours: a NATS server and a Postgres server from wheels."""
