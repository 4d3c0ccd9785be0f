"""Requests of somebody who means harm."""
