"""Threads, memory and disk: Python's side of what makes it fast and safe."""

__all__ = []
