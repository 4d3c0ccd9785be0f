"""Deployment targets of the app: revisions, traffic, smoke test, probe, the vendored function."""
