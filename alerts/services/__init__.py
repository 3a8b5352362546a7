"""The services of the alerts app: one function, one transaction, one audit entry."""
