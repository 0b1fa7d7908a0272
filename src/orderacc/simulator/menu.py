"""The demo restaurant's menu: 14 items in 12 groups, two of the groups holding look-alikes."""

from __future__ import annotations

from typing import Final

from orderacc.domain.detections import BAG, HAND, SLIP
from orderacc.domain.menus import MenuItem

DEMO_ITEMS: Final = (
    MenuItem("Burger", "burger", "mains", ("Hamburger",), "burger"),
    MenuItem("Small Fries", "fries-s", "sides", ("Fries Small", "Sm Fries"), "fries"),
    MenuItem("Large Fries", "fries-l", "sides", ("Fries Large", "Lg Fries"), "fries"),
    MenuItem("Cola", "cola", "drinks", ("Coke", "Coca-Cola"), "cola"),
    MenuItem("Diet Cola", "cola-diet", "drinks", ("Diet Coke", "Cola Light"), "cola"),
    MenuItem("Chicken Leg", "chicken", "mains", ("Drumstick",), "chicken"),
    MenuItem("Hot Dog", "hotdog", "mains", ("Hotdog", "Frankfurter"), "hotdog"),
    MenuItem("Pizza Slice", "pizza", "mains", ("Slice of Pizza",), "pizza"),
    MenuItem("Taco", "taco", "mains", (), "taco"),
    MenuItem("Wrap", "wrap", "mains", ("Burrito",), "wrap"),
    MenuItem("Salad", "salad", "sides", ("Green Salad",), "salad"),
    MenuItem("Donut", "donut", "sweets", ("Doughnut",), "donut"),
    MenuItem("Cookie", "cookie", "sweets", ("Choc Chip Cookie",), "cookie"),
    MenuItem("Coffee", "coffee", "drinks", ("Hot Coffee",), "coffee"),
)

NAMES: Final = tuple(item.name for item in DEMO_ITEMS)
GROUPS: Final = tuple(dict.fromkeys(item.group or item.name for item in DEMO_ITEMS))
GROUP_OF: Final = {item.name: item.group or item.name for item in DEMO_ITEMS}
LABELS: Final = (*GROUPS, SLIP, HAND, BAG)
"""The demo detector's classes, in the order of its output."""

LOOK_ALIKES: Final = {
    "Small Fries": "Large Fries",
    "Large Fries": "Small Fries",
    "Cola": "Diet Cola",
    "Diet Cola": "Cola",
}
