"""Old against new: judged questions, both runs, their metrics, and the gates they must pass."""
