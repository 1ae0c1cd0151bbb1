"""What both consoles share as web applications."""
