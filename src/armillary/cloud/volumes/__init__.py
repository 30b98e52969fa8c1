"""Volumes: so far only what makes everyday clients answer sensibly."""
