"""The real command, from its start to its end."""
