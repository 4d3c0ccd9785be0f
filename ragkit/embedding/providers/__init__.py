"""One module for each provider, with `load(model, env)`, which returns an Embedder."""
