"""Several tables of one params file: their folders, their followers, a run of all of them."""
