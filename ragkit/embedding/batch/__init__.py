"""Batch APIs of providers: half the price, within a day."""
