"""The control API, ``/api/providers/...``: HTTP in front of the services' request/reply operations, nothing more."""
