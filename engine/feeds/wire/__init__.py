"""Pure decoding of bytes into ticks."""
