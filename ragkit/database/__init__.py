"""The way into PostgreSQL: engine, Cloud SQL, secrets, quoted names, translated errors."""
