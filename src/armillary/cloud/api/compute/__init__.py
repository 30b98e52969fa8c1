"""Compute v2.1 (Nova) with microversions 2.1 to 2.93."""
