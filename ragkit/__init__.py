"""ragkit moves a live RAG database from one embedding model to another while nobody notices.

The modules of this folder are what the running app needs, and are vendored into the function.
``migration`` is what the runbook adds, ``sandbox`` the embedded default, ``runbook`` the way
notebooks and the command line run the steps. Imports point down only.
"""

__version__ = "0.1.0"
