"""s1lib: the thin library behind the notebooks that reproduce "s1: Simple test-time scaling" (arXiv 2501.19393).

One room per notebook on one ground floor, data flowing one way:

    toy -> curation -> sft -> thinking -> evaluation -> scaling
    chat | engines | grading | profile | artifacts
"""

__version__ = "0.1.0"
