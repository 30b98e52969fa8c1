"""Batch engines: what runs jobs behind the `Engine` port."""
