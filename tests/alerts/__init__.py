"""Merging, spooling and storing alerts: each once, whatever is killed or full."""
