"""The alerts app: rules, alerts, routing, delivery, incidents and threats."""
