"""bench: which way of transmitting raw Ethernet frames is fastest, by how much, and why."""
