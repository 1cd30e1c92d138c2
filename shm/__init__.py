"""Shared memory primitives; knows nothing of markets."""
