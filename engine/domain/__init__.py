"""What the market is made of: records, sessions, sizes and the shared tables."""
