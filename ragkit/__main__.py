"""python -m ragkit VERB: the runbook's steps for a terminal and for jobs."""

from ragkit.runbook.cli import main

if __name__ == "__main__":
    main()
