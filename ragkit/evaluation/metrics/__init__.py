"""Metrics of ranked lists and vector spaces: TREC measures, intervals, tests, similarity.

scipy.stats is imported inside the functions that use it: the import takes a second, and most
commands compare nothing.
"""
