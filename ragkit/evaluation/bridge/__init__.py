"""The bridge of a rescue: how it is fitted, what it is worth, and the sample that it needs."""
