"""What the function writes to its log about each answer."""
