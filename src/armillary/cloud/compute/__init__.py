"""Servers, flavors, key pairs and quotas."""
