"""Settings, wiring, the ASGI application and the daemon: the one room that knows everybody."""
