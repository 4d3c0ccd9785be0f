"""The wire to PostgreSQL: its sockets, and where the driver takes more round trips than needed."""
