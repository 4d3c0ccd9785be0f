"""What the services that are asked by their makers' SDKs have in common."""
