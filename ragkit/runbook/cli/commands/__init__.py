"""The commands, each a thin layer of options above the library."""
