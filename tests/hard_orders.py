"""Whole orders with the one right outcome, written before the judge was made to meet them.

Lines are `2 Burger; Cola`: a quantity if there is one, then the name; `1 6 pc Nuggets` is one line of six pieces.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """An order, what was seen, and what must come of it."""

    ordered: str
    seen: str
    matched: str = ""
    missing: str = ""
    extra: str = ""
    mismatch: str = ""
    substituted: str = ""


CASES = {
    # What the peer gets wrong
    "plural on the slip": Case("Cookies; French Fries", "Cookie; French Fry", "1 Cookies; 1 French Fries"),
    "joined words": Case("Cheeseburger; Milk Shake", "Cheese Burger; Milkshake", "1 Cheeseburger; 1 Milk Shake"),
    "misspelled by the model": Case("Broccoli; Espresso", "Brocolli; Expresso", "1 Broccoli; 1 Espresso"),
    "accents composed and decomposed": Case(
        "Cr\u00eape; Jalape\u00f1o", "Cre\u0302pe; Jalapeno", "1 Crêpe; 1 Jalapeño"
    ),
    "abbreviated by the till": Case(
        "Dbl Chz Brgr; Sm Fries", "Double Cheeseburger; Small Fries", "1 Dbl Chz Brgr; 1 Sm Fries"
    ),
    "repeated lines": Case("Fries; Burger; Fries", "Burger; 2 Fries", "2 Fries; 1 Burger"),
    "two lines of fries and one in the bag": Case("Fries; Fries", "1 Fries", "1 Fries", mismatch="Fries 2/1"),
    "one cola for another": Case(
        "Coke", "Diet Coke", missing="1 Coke", extra="1 Diet Coke", substituted="Coke/Diet Coke 1"
    ),
    "a greedy match would steal": Case(
        "Chicken Burgr; Chicken Burger", "Chicken Burger; Chicken Burgr", "1 Chicken Burgr; 1 Chicken Burger"
    ),
    "an extra near an ordered thing": Case(
        "Chicken Burger", "Chicken Burger; Chicken Nuggets", "1 Chicken Burger", extra="1 Chicken Nuggets"
    ),
    "an extra of another size": Case("Large Cola", "Large Cola; Small Cola", "1 Large Cola", extra="1 Small Cola"),
    "a duplicate that nobody paid for": Case("Burger", "Burger; Burger", "1 Burger", mismatch="Burger 1/2"),
    "brand under another name": Case("Coca-Cola; 7 Up", "Coke; Seven Up", "1 Coca-Cola; 1 7 Up"),
    # Sizes and counts
    "sizes crosswise": Case(
        "Small Fries; 2 Large Fries",
        "2 Small Fries; Large Fries",
        "1 Small Fries; 1 Large Fries",
        mismatch="Small Fries 1/2; Large Fries 2/1",
    ),
    "three sizes": Case(
        "S Coke; M Coke; L Coke", "Large Coke; Small Coke; Medium Coke", "1 S Coke; 1 M Coke; 1 L Coke"
    ),
    "another box of nuggets": Case(
        "1 6 pc Nuggets",
        "1 20 pc Nuggets",
        missing="1 6 pc Nuggets",
        extra="1 20 pc Nuggets",
        substituted="6 pc Nuggets/20 pc Nuggets 1",
    ),
    "two boxes of two kinds": Case(
        "2 6 pc Nuggets; 1 9 pc Nuggets", "1 9 pc Nuggets; 2 6pc Nuggets", "2 6 pc Nuggets; 1 9 pc Nuggets"
    ),
    "bottle and can": Case("Coke Bottle; Coke Can", "Coke Can; Coke Bottle", "1 Coke Bottle; 1 Coke Can"),
    "the container unsaid goes to whom it fits": Case(
        "Coke Can; Sprite Bottle", "Sprite; Coke", "1 Coke Can; 1 Sprite Bottle"
    ),
    "litres": Case("Water 1.5 l; Water 500 ml", "Water 0.5 l; Water 1.5 liter", "1 Water 1.5 l; 1 Water 500 ml"),
    # With and without
    "two burgers, one without": Case(
        "Burger; Burger no onion", "Burger no onions; Burger", "1 Burger; 1 Burger no onion"
    ),
    "both without, one ordered": Case(
        "Burger; Burger no onion",
        "2 Burger no onion",
        "1 Burger no onion",
        missing="1 Burger",
        mismatch="Burger no onion 1/2",
    ),
    "cheese that was to be left out": Case(
        "Burger no cheese",
        "Cheeseburger",
        missing="1 Burger no cheese",
        extra="1 Cheeseburger",
        substituted="Burger no cheese/Cheeseburger 1",
    ),
    # Flavours and kinds
    "another pie": Case(
        "2 Apple Pie", "2 Cherry Pie", missing="2 Apple Pie", extra="2 Cherry Pie", substituted="Apple Pie/Cherry Pie 2"
    ),
    "swapped shakes of two guests": Case(
        "Vanilla Shake; 2 Chocolate Shake",
        "2 Vanilla Shake; Chocolate Shake",
        "1 Vanilla Shake; 1 Chocolate Shake",
        mismatch="Vanilla Shake 1/2; Chocolate Shake 2/1",
    ),
    "one of two replaced": Case(
        "Chicken Wrap; Beef Wrap",
        "Chicken Wrap; Falafel Wrap",
        "1 Chicken Wrap",
        "1 Beef Wrap",
        "1 Falafel Wrap",
        substituted="Beef Wrap/Falafel Wrap 1",
    ),
    "unrelated things are no substitutes": Case("Taco", "Coffee", missing="1 Taco", extra="1 Coffee"),
    "the nearest kin stands in": Case(
        "Chicken Burger; Apple Pie",
        "Cherry Pie; Beef Burger",
        missing="1 Chicken Burger; 1 Apple Pie",
        extra="1 Cherry Pie; 1 Beef Burger",
        substituted="Chicken Burger/Beef Burger 1; Apple Pie/Cherry Pie 1",
    ),
    "milk and chocolate": Case(
        "Chocolate Milk",
        "Milk Chocolate",
        missing="1 Chocolate Milk",
        extra="1 Milk Chocolate",
        substituted="Chocolate Milk/Milk Chocolate 1",
    ),
    "hot and iced": Case(
        "Iced Latte", "Hot Latte", missing="1 Iced Latte", extra="1 Hot Latte", substituted="Iced Latte/Hot Latte 1"
    ),
    # Units
    "more under two spellings": Case("2 Donut", "Donut; 2 Doughnuts", "2 Donut", mismatch="Donut 2/3"),
    "fewer under two spellings": Case("4 Donut", "Donut; 2 Doughnuts", "3 Donut", mismatch="Donut 4/3"),
    "ordered under two names": Case("Coke; 2 Coca Cola", "3 Coke", "3 Coke"),
    "ordered misspelled twice": Case("Brocoli; Broccoli", "2 Broccoli", "1 Brocoli; 1 Broccoli"),
    "a part of what was ordered": Case(
        "3 Taco; 2 Burrito", "2 Tacos; Burritos", "2 Taco; 1 Burrito", mismatch="Taco 3/2; Burrito 2/1"
    ),
    "only extras": Case("Salad", "Salad; Cookie; 2 Cola", "1 Salad", extra="1 Cookie; 2 Cola"),
    "nothing but another order": Case(
        "Salad; Water", "Pizza; Beer", missing="1 Salad; 1 Water", extra="1 Pizza; 1 Beer"
    ),
    "an empty bag": Case("Burger; Fries; Cola", "", missing="1 Burger; 1 Fries; 1 Cola"),
    "ninety-nine sauces": Case("99 Ketchup", "98 Ketchups", "98 Ketchup", mismatch="Ketchup 99/98"),
    # Long orders
    "a family": Case(
        "2 Cheeseburger; Hamburger; Chicken Wrap; 3 Sm Fries; Lg Fries; Coke; Diet Coke; 2 OJ; 1 9 pc Nuggets",
        "Large Fries; 3 Small Fries; 2 Cheese Burgers; Burger; Orange Juice; 1 Nuggets 9pc; Coca Cola; Coke Light;"
        " Orange Juice; Chiken Wrap",
        "2 Cheeseburger; 1 Hamburger; 1 Chicken Wrap; 3 Sm Fries; 1 Lg Fries; 1 Coke; 1 Diet Coke; 2 OJ;"
        " 1 9 pc Nuggets",
    ),
    "a family, three things wrong": Case(
        "2 Cheeseburger; Hamburger; 3 Sm Fries; Coke; Diet Coke; Apple Pie",
        "2 Cheeseburger; Hamburger; 2 Small Fries; 2 Coke; Cherry Pie",
        "2 Cheeseburger; 1 Hamburger; 2 Sm Fries; 1 Coke",
        missing="1 Diet Coke; 1 Apple Pie",
        extra="1 Cherry Pie",
        mismatch="Sm Fries 3/2; Coke 1/2",
        substituted="Apple Pie/Cherry Pie 1",
    ),
    "another script": Case("ラーメン; 2 餃子", "2 餃子; \uff97\uff70\uff92\uff9d", "1 ラーメン; 2 餃子"),
    "signs": Case("🍔; 2 🍟", "🍟; 🍔", "1 🍔; 1 🍟", mismatch="🍟 2/1"),
}
