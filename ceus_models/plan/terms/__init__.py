"""Settings that the stages of a plan share: quorum, deadlines, screening, and the names of groups of nets."""
