"""What several Fairlead processes share: events, bus, snapshots, leases, database, telemetry and the pure decision code."""
