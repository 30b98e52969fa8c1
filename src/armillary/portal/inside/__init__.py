"""What brings a person inside a machine: consoles, a shell over ssh, and analysis that runs in the machine."""
