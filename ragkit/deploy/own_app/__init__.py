"""Apps of somebody else: asked as the plan says, switched by hand, by a command, or on a word."""
