"""What a study found, as pages, tables and figures."""
