"""The exercises of the lessons: `lesson_NN.py` holds a lesson's judges, one for each function of its stub.

`contract.py` is what judges are made of, `course.py` finds lessons, stubs and judges, `judging.py` judges one answer
here and now, `child.py` and `processes.py` do so in a process of its own, which no answer can harm.
"""

__all__ = []
