"""Model checking of the shared-memory protocols."""
