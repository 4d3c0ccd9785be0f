"""Which index a column can have, and how far one of bits is searched."""
