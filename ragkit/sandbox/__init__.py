"""The embedded default: PostgreSQL, sample data and the app on this machine.

It stands in for Google's "Generative AI RAG" Jump Start Solution. No cloud, no Docker, no root.
"""
