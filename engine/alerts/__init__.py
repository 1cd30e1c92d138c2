"""Alerts: merged, spooled, stored, delivered exactly once."""
