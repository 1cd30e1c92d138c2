"""Proofs of the supervisor with real processes."""
