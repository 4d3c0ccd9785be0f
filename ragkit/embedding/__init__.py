"""Embedding models: the catalogue, the Embedder protocol, one module for each provider."""
