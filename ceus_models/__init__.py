"""Shared by client and server: the study's terms, the nets, the wire protocol and exact sums."""
