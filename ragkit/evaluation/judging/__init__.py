"""People judge the two result lists of a question, blind; what they say is kept line by line."""
