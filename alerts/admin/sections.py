"""Under which headings of the menu the pages of the alerts app stand; `AlertsConfig.menu_sections` orders them."""

ALERTS = "Alerts"
INCIDENTS = "Incidents and on-call"
TELLING = "Who is told"
THREATS = "Threats and automation"
