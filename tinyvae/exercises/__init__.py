"""The exercises of the lessons: for each lesson a room `lesson_NN` of judges, one for each function of its stub."""

__all__ = []
