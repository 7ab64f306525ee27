"""From evaluation records to tables, figures and the claims table (paper, sections 4 and 5).

Only records are read, without an engine and without torch.
"""
