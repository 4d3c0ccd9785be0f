"""ragkit migrates a live RAG database from one embedding model to another with zero downtime.

The function is built from ``errors``, ``embedding``, ``database`` and ``retrieval``. ``deploy``,
``migration``, ``evaluation`` and ``report`` are the runbook's; ``sandbox`` is the embedded default;
``runbook`` is what notebooks, papermill and the command line call. Imports point one way:
``tests/test_structure.py`` holds the map.
"""

__version__ = "0.2.0"
