"""The model asked about lesions of a folder, and its answers as pages, sheets and JSON."""
