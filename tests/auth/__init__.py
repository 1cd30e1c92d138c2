"""Sign-in: store, tokens, bounds and the front over HTTP."""
