"""Readers of public price lists: each turns one source into quotes, and they are compared before anything is stored."""
