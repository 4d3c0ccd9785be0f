"""The params file: how it is read and written, its faults, and the reference of its fields."""
