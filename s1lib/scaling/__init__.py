"""Records -> tables, figures and the claims table (paper, sections 4 and 5). Reads records only: no engine, no torch."""
