"""Rules without hands: who may do what, which properties can be set."""
