"""Alembic's folder for the platform's records."""
