"""Test-time methods (paper, sections 3 and 4): each is an async function of one problem."""
