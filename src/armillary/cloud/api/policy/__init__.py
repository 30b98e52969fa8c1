"""Who may do what: one table for all services, a module for each, which the gate of each service enforces."""
