"""Tests of the other ways to run Fairlead: containers, compose, Kubernetes, a NATS cluster with accounts."""
