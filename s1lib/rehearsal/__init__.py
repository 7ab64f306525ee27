"""The dress rehearsal of a profile: its checks, its stand-ins, and the run with small numbers."""
