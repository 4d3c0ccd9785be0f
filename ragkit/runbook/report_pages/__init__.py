"""What a run leaves for its readers: a first page, a page for each notebook, figures, pictures."""
