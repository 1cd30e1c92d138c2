"""The typed configuration and its file."""
