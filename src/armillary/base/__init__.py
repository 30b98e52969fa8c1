"""What every subject stands on: ids, clock, units, errors. Standard library only; imports nothing of ours."""
