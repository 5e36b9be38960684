"""One HTML file of runs: answer, pictures, table, environment. It needs nothing beside it."""
