"""The models that a plan names, and what it says about them."""
