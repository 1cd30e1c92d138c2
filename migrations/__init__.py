"""Numbered, checksummed schema changes."""
