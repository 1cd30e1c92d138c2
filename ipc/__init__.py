"""Processes: supervisor, role loop, wake-ups, control socket, logs."""
