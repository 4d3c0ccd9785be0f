"""The proof of a rescue: what a service is worth whose old model is gone (make rescue)."""
