"""Qwen2.5's tokenizer, for tests that need a real vocabulary."""

from s1lib.gpu_check.qwen_vocabulary import RANKS, qwen_tokenizer

__all__ = ["RANKS", "qwen_tokenizer"]
