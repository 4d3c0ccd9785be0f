"""PostgreSQL's protocol, where the driver takes more round trips than needed."""
