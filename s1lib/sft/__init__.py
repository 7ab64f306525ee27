"""Notebook 02: supervised fine-tuning on the curated traces (paper, section 4.1 and appendix D)."""
