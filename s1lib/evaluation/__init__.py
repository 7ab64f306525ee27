"""Notebook 04: benchmarks, methods, records (paper, section 4)."""
