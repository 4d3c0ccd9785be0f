"""What is left to do, as rows in the database: block ranges, written keys, who works on them."""
