"""The service of a column that is still filling, because its old model is gone."""
