"""Under which headings of the menu the pages of the slas app stand; `SLAsConfig.menu_sections` orders them."""

OBJECTIVES = "Objectives"
CONTRACTS = "Contracts"
CAPACITY = "Capacity"
