"""What a reader study says beyond each reader: of readers like these on lesions like these, and of their effort."""
