"""The embedded world, as real as a laptop allows: notebook 00."""
