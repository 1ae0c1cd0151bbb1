"""The file of a table, CSV or XLSX, as records of texts."""
