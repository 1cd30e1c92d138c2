"""The sequencer: decides cycles, applies ticks, closes and revises minutes."""
