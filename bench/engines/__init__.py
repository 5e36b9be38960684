"""The C core: built when it is stale, and bound to Python."""
