"""Answers while the old model is gone: from the old column, without it."""
