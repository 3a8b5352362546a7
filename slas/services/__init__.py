"""What the slas app can do: each function is one use case, one transaction and one audit entry."""
