"""The HTTP edge: the unified model API, the control API, access and the catalog."""
