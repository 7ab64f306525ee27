"""Notebook 03: test-time methods (paper, sections 3 and 4): each an async function of one problem."""
