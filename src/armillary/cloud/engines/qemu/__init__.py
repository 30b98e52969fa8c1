"""Machines on QEMU and the network between them, without root. The switch imports this: keep it empty."""
