"""What the index of a column loses, whatever the model."""
