"""Every page of HTML, and what both consoles share as web applications."""
