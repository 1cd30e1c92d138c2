"""Toplists: what a ranked list is, ranking it, and what changed between two rankings."""
