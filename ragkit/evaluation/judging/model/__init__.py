"""A model that labels the same lists as people: its labels correct for noise, and never count."""
