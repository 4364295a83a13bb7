"""The NATS bus: connection rules, topology, publishing, redelivery policy, request/reply."""
