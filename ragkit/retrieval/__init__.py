"""What the app serves: the contract, the search, the service and the shadow mode."""
