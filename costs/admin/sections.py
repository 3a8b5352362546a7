"""Under which headings of the menu the pages of the costs app stand; `CostsConfig.menu_sections` orders them."""

COSTS = "Costs"
BUDGETS = "Budgets"
PRICES = "Prices"
QUEUES = "Cost queues"
