"""The cloud's rules without hands: states, quotas, config drives, network plans."""
