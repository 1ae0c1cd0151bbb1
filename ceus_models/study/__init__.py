"""Terms and rules that all sites of a study share."""
