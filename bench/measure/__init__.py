"""Topologies up, a worker in them, rounds of slices, samples to the disk."""
