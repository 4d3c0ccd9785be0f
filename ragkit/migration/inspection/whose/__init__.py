"""Whose vectors are these? Stored vectors against those that the models here make again."""
