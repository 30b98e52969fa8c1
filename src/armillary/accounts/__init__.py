"""People, registration, projects, allocations, roles, tokens, application credentials and certificates."""
