"""Tables too large to be searched without an index: full text and a bridge at each size."""
