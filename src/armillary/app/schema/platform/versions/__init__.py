"""Revisions of the platform's records, oldest first."""
