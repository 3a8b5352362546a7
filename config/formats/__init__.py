"""How dates and numbers are written on pages, whatever the locale would say."""
