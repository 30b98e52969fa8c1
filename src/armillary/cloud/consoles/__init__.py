"""Consoles: addresses with a ticket in them, at which a browser has a machine's screen or its serial line."""
