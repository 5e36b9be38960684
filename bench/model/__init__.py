"""What the other folders pass to each other: frozen values, no behaviour beyond naming."""
