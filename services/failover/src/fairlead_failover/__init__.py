"""Failover configuration, the fleet breakers, recovery, log and analytics."""
