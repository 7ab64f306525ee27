"""Notebook 01: from a pool of questions with traces to s1K and its ablations (section 2)."""
