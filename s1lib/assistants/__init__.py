"""The language models that curation asks: judge, classifier and teacher."""
