"""Figures for Prometheus: what this process did, and how the records stand. No label has values that users make up."""
