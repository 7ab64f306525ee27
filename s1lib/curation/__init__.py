"""Notebook 01: from a pool of questions with traces to the training set and its ablations (paper, section 2 and 5.1)."""
