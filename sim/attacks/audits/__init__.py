"""Audits of honest tasks: what their answers prove, without a crafted weight."""
