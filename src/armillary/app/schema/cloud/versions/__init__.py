"""Revisions of the cloud's records, oldest first."""
