"""Runs on disk: versioned JSON Lines, appended as they are measured (docs/results.md)."""
