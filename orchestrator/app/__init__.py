"""The assembly: commands and roles, put together from their parts; no rule of the domain is decided here."""
