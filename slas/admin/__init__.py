"""The admin pages of the slas app."""
