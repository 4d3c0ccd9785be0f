"""A new revision beside the old one: sequential tests decide whether it gets more traffic."""
