"""Supervised fine-tuning on the curated traces: notebook 02 (paper, section 4.1, appendix D)."""
