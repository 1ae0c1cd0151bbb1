"""The half of a site that has the network and no data: it carries messages, and runs only what was approved."""
