"""Fills the new column while the app serves: read, embed, write, throttle, meter."""
