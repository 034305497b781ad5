"""Proof by building: build an image before and after, run both, compare."""
