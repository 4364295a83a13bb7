"""Snapshots: versioned values in NATS key-value buckets, by which the control services steer the edges.

A snapshot is always the whole truth about its key, so that whoever joins late, or missed something, needs only the
last value. ``publisher`` writes, ``follower`` reads; the other modules are the value types, one per bucket.
"""
