"""Our own durable queue: jobs, attempts and leases in SQL; agents pull over HTTPS."""
