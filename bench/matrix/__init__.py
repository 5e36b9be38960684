"""From YAML text to a Matrix, or to every problem that the text has."""
