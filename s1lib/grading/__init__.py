"""Is an answer right? Reading it, comparing it, in processes that may be killed."""

from s1lib.grading.reader import extract_answer
from s1lib.grading.worker import SECONDS, Grade, grade, grade_many, official_choice

__all__ = ["SECONDS", "Grade", "extract_answer", "grade", "grade_many", "official_choice"]
