"""`make check-gpu`: does the package work on this GPU, and how fast? One part a file."""
