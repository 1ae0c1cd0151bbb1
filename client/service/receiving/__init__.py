"""A DICOM storage service: studies come from the PACS or the scanner, each of them whole or not at all."""
