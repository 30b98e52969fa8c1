"""Alembic's folder for the cloud's records."""
