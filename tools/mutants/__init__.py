"""Small faults put into bench, one at a time, to see which of them its tests notice."""
