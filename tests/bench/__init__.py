"""Benchmarks: ratios inside one run, against peers on the same machine and the same data."""
