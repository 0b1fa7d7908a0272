"""More messy answers and the one right reading of each, empty where nothing may be read.

Written before the reader was made to meet them; one may be added, none may be weakened.
"""

from __future__ import annotations

ANSWERS: dict[str, dict[str, int]] = {
    # JSON as models write it
    '{"items": [{"name": "Burger", "quantity": 2,},]}': {"Burger": 2},
    '{"items":[{"quantity":2,"name":"Burger"},{"quantity":1,"name":"Cola"}]}': {"Burger": 2, "Cola": 1},
    '{"order":{"items":[{"name":"Burger","quantity":1}]},"confidence":0.93}': {"Burger": 1},
    '[{"name":"Burger","count":3}]': {"Burger": 3},
    '{"detected_items":[{"item_name":"Burger","amount":"2"}]}': {"Burger": 2},
    '{"items":[{"name":"Burger","quantity":"two"}]}': {"Burger": 2},
    '{"items":[{"name":"Burger (2)"}]}': {"Burger": 2},
    '{"items":["Burger","Burger","Cola"]}': {"Burger": 2, "Cola": 1},
    '{"burger": {"quantity": 2}, "cola": {"quantity": 1}}': {},
    '```\n[\n  {\n    "name": "6 pc Nuggets",\n    "quantity": 1\n  }\n]\n```': {"6 pc Nuggets": 1},
    'json\n{"items":[{"name":"Burger","quantity":1}]}': {"Burger": 1},
    '{"items":[{"name":"7-Up","quantity":1},{"name":"Coke 1.5 liter bottle","quantity":1}]}': {
        "7-Up": 1,
        "Coke 1.5 liter bottle": 1,
    },
    '{"items":[{"name":"Jalapen\\u0303o Bites","quantity":2}]}': {"Jalapeño Bites": 2},
    '{"items":[{"name":"Burger","quantity":2}]}{"items":[{"name":"Burger","quantity":2}]}': {"Burger": 2},
    "{'Burger': 2, 'Cola': 1}": {"Burger": 2, "Cola": 1},
    '{"items":[{"name":"Caprice salad","quantity":1,"price":"$4.50"}]}': {"Caprice salad": 1},
    '{"items":[{"name":"Burger","quantity":1},{"name":"Fries","quantity":1}],"note":"the cup may be {empty}"}': {
        "Burger": 1,
        "Fries": 1,
    },
    '\ufeff{"items":[{"name":"Burger","quantity":1}]}': {"Burger": 1},
    '{"items":[{"name":"Burger","quantity":1e0}]}': {},
    '{"items":null}': {},
    '{"items":[null,{"name":"Burger","quantity":1}]}': {"Burger": 1},
    '{"name":"Burger","quantity":1}': {"Burger": 1},
    '{"items":[{"name":"Burger","quantity":2}],"missing":[{"name":"Cola","quantity":1}]}': {"Burger": 2},
    # Lists
    "* 1x Burger\r\n* 2x Cola\r\n": {"Burger": 1, "Cola": 2},
    "– Burger\n– Cola": {"Burger": 1, "Cola": 1},  # noqa: RUF001  the dash is the case
    "1) 2 x Burger\n2) 1 x Cola": {"Burger": 2, "Cola": 1},
    "a) Burger\nb) Cola": {"Burger": 1, "Cola": 1},
    "1. **Burger** (2x)\n2. **Cola** (1x)": {"Burger": 2, "Cola": 1},
    "- **2** Burger\n- **1** Cola": {"Burger": 2, "Cola": 1},
    "- Burger × 2\n- Cola × 1": {"Burger": 2, "Cola": 1},  # noqa: RUF001  likewise
    "- Burger: two\n- Cola: one": {"Burger": 2, "Cola": 1},
    "Items visible:\n- Burger\n- Cola\n\nLet me know if you need more!": {"Burger": 1, "Cola": 1},
    "+ Burger\n+ Cola": {"Burger": 1, "Cola": 1},
    "✅ Burger\n✅ Cola": {"Burger": 1, "Cola": 1},
    "- Burger\n  - no onions\n- Cola": {"Burger": 1, "Cola": 1},
    "- 2x 10 pc Nuggets\n- 1x 6 pc Nuggets": {"10 pc Nuggets": 2, "6 pc Nuggets": 1},
    "- 1/2 Chicken\n- 2x 1/4 Pounder": {"1/2 Chicken": 1, "1/4 Pounder": 2},
    "- Coke (500 ml)\n- 2 Coke (330 ml)": {"Coke (500 ml)": 1, "Coke (330 ml)": 2},
    "- M&M's Cookie x2": {"M&M's Cookie": 2},
    "- Crème brûlée\n- Café Latte": {"Crème brûlée": 1, "Café Latte": 1},
    "- ラーメン x2\n- 餃子": {"ラーメン": 2, "餃子": 1},
    # Tables
    "| Menu item | Qty |\n|:--|--:|\n| Burger | 2x |\n| Cola | 1 |": {"Burger": 2, "Cola": 1},
    "Item | Count\nBurger | 2\nCola | 1": {"Burger": 2, "Cola": 1},
    "| # | Item | Quantity |\n|---|---|---|\n| 1 | Burger | 2 |\n| 2 | Cola | 3 |": {"Burger": 2, "Cola": 3},
    "| Item | Quantity | Price |\n|---|---|---|\n| Burger | 2 | $9.98 |": {"Burger": 2},
    "name,quantity\nBurger,2\nCola,1": {"Burger": 2, "Cola": 1},
    # Plain lines
    "2 burgers\n1 cola": {"burgers": 2, "cola": 1},
    "Burger x2, Cola x1": {"Burger": 2, "Cola": 1},
    "2x Burger; 1x Cola": {"Burger": 2, "Cola": 1},
    "Burger = 2\nCola = 1": {"Burger": 2, "Cola": 1},
    "qty 2 Burger": {"Burger": 2},
    "Burger qty 2": {"Burger": 2},
    "Order: 2x Burger, 1x Cola": {"Burger": 2, "Cola": 1},
    "three colas": {"colas": 3},
    "Big Mac\nBig Mac\nBig Mac": {"Big Mac": 3},
    # Not lists, or not to be believed
    "The order contains 2 burgers and 1 cola.": {},
    "There are two burgers on the tray": {},
    "I can see 2x burger": {},
    "It is too dark to see anything.": {},
    "As an AI model, I cannot identify items.": {},
    "Burger? Maybe fries.": {},
    "- 1000x Burger": {},
    "- Burger: -2": {},
    "<|im_end|>": {},
    "null": {},
    "Error: 429 Too Many Requests": {},
    '{"error": {"message": "model overloaded", "code": 503}}': {},
    "<html><body>502 Bad Gateway</body></html>": {},
    "no burger, no cola": {},
    "- no burger\n- cola": {"cola": 1},
}
