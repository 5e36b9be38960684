"""From a matrix to the cells that run: nothing is set up here."""
