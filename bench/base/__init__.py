"""What every other folder stands on: errors, signals, units, files."""
