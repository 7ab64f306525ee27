"""s1lib: the thin library behind the notebooks that reproduce "s1: Simple test-time scaling".

The paper (arXiv 2501.19393) is five packages, and data flows through them one way:

    curation -> sft -> thinking -> evaluation -> scaling

docs/architecture.md has the picture of the whole, and says where to find and change what.
"""

__version__ = "0.1.0"
