"""Proofs of the shared-memory floor."""
