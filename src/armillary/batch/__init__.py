"""Batch jobs: a durable queue, workers booted on demand on every cloud, results kept once."""
