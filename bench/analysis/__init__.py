"""Pure functions over samples: one run, and several against each other."""
