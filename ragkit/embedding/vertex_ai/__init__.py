"""Vertex AI's prediction service by two ways: REST for a question, gRPC for batches of rows."""
