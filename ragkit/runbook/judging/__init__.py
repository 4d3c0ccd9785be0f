"""Where people judge: a cell of a notebook, and a page on this machine, with one front end."""
