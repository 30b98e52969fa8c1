"""Decisions without hands: no clock, no storage, no sockets, no chance."""
