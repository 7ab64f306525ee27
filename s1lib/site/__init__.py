"""`make html`: everything a profile has produced as one static site, read from files alone."""
