"""The embedded cloud: machines on this computer behind the OpenStack APIs. Only `app` may import it."""
