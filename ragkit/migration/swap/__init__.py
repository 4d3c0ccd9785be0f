"""A swap of the two columns' names, for an app that can change nothing but be restarted."""
