"""The hospital's tables: from cells, units and dates as they are typed to rows."""
