"""Everything that a migration will do, told before it does anything."""
