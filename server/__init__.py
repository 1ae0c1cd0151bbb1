"""The coordinator: it walks a plan, asks the sites, and adds what they answer."""
