"""What words on menus mean: food words, abbreviations, sizes, units, and phrases that say the same.

Words a single restaurant uses belong into its menu as aliases, not here.
"""

from __future__ import annotations

from typing import Final

FOOD: Final = frozenset(
    """
    aioli almond americano apple apricot artichoke arugula asparagus avocado bacon bagel baguette baked banana bar
    barbacoa basil bbq bean beef beer beet beetroot bell berry biryani biscuit bite black blackberry blt blue blueberry
    boba boiled bowl brain bran bratwurst bread breakfast breast brie brisket broccoli brown brownie bucket bulgogi bun
    burger burrito butter butternut cabbage caesar cake calamari calzone can candy cappuccino caramel carnitas carrot
    cashew caviar celery cereal ceviche chai champagne cheddar cheese cherry chestnut chia chicken chickpea chili chip
    chive chocolate chop chorizo chowder churro chutney cider cilantro cinnamon clam classic club cob cobbler coconut
    cod coffee coke cola coleslaw cone cookie coriander corn cotton couscous crab cracker cranberry cream crepe crisp
    crispy croissant croquette crouton crunchy cucumber cup cupcake curry custard date deluxe dessert dip dog donut
    double dressing drumstick duck dumpling edamame egg eggplant enchilada espresso fajita falafel fanta fennel feta
    fig fillet finger fish flan flatbread float focaccia frank french fresh fried frozen fruit fry fudge garden garlic
    gelato gherkin ginger gingerbread goat grain granola grape grapefruit gravy greek green grill grit guacamole gumbo
    gummy gyro haddock halloumi ham hash hazelnut herb herring hoagie honey hot hummus ice jalapeno jam jar jelly jerk
    juice kale kebab ketchup kimchi kiwi kofta lager lamb lasagna latte leek leg lemon lemonade lentil lettuce lime
    lobster lolly mac macaroni mackerel malt mandarin mango maple margarita margherita marinara marmalade marshmallow
    mash matcha matte mayo meal meat meatball melon melt mild milk millet mince mint mocha mocktail mojito mole monster
    mousse mozzarella mud muffin mushroom mussel mustard naan nacho nectarine noodle nougat nugget nut oat oatmeal oil
    olive omelet onion orange oreo orzo oyster paella pan pancake paneer panini papaya paprika parmesan parsley pasta
    pastrami pastry patty pea peach peanut pear pecan peel penne pepper pepperoni pepsi peri pesto pho pickle pie
    pierogi pine pineapple pink pistachio pita pizza plain plantain plum pomegranate pop popcorn popper popsicle pork
    porridge pot potato poutine pretzel pudding pulled pulp pumpernickel pumpkin quesadilla quiche quinoa rabbit radish
    raisin ramen ranch rap raspberry ravioli red reuben rhubarb rib rice risotto roast roll root rosemary rum rye
    saffron salad salami salmon salsa salt samosa sandwich sardine sauce sausage scallion scallop schnitzel scone
    sesame shake shallot shell shrimp slaw slice slider slush smoke smoothie snack soda sorbet soup sour soy spaghetti
    sparkling special spice spicy spinach spring sprite sprout squash squid stack steak stew stick still straw
    strawberry strip stuffed sub sugar sundae sushi sweet swiss syrup taco tahini tamale tapioca tart tea tempura
    tender tenderloin teriyaki thigh toad toast toffee tofu tomato topping tortilla tostada treat triple tropical
    truffle tuna turkey turnip twist udon vanilla veal veg vinegar waffle walnut wasabi water watermelon wedge wheat
    whip white whole wine wing wonton wrap yellow yogurt zinger zucchini
    """.split()  # noqa: SIM905  four hundred words read better without quotes
)
"""Words that are spelled right as they stand: two of them are never misspellings of each other."""

NEVER_SPLIT: Final = frozenset({"hamburger", "cheesesteak", "pepperoni", "sweetbread", "pineapple", "beefeater"})
"""Words that look joined from two food words and are not, or mean something else."""

ABBREVIATIONS: Final = {
    "bcn": "bacon", "bev": "beverage", "bf": "beef", "bgr": "burger", "brg": "burger", "brgr": "burger",
    "brkfst": "breakfast", "btl": "bottle", "bttl": "bottle", "capp": "cappuccino", "chix": "chicken",
    "chk": "chicken", "chkn": "chicken", "choc": "chocolate", "chs": "cheese", "chsbgr": "cheese burger",
    "chsbrgr": "cheese burger", "chx": "chicken", "chz": "cheese", "chzbrgr": "cheese burger", "ckn": "chicken",
    "cof": "coffee", "crsp": "crispy", "crspy": "crispy", "dbl": "double", "dlx": "deluxe", "dr": "doctor",
    "dt": "diet", "esp": "espresso", "ff": "fry", "ffs": "fry", "frs": "fry", "grld": "grill", "grlld": "grill",
    "jal": "jalapeno", "let": "lettuce", "marg": "margherita", "mlk": "milk", "mshrm": "mushroom", "mtn": "mountain",
    "mush": "mushroom", "mustd": "mustard", "nug": "nugget", "nuggies": "nugget", "nuggs": "nugget", "nugs": "nugget",
    "oj": "orange juice", "org": "orange", "parm": "parmesan", "pepp": "pepperoni", "qtr": "quarter", "rst": "roast",
    "sand": "sandwich", "sandw": "sandwich", "sarnie": "sandwich", "sdwch": "sandwich", "shk": "shake",
    "sndwch": "sandwich", "spcy": "spicy", "ssg": "sausage", "strw": "strawberry", "sw": "sandwich",
    "swch": "sandwich", "swt": "sweet", "tom": "tomato", "tpl": "triple", "trpl": "triple", "van": "vanilla",
    "vegg": "veg", "veggie": "veg", "wht": "white", "wtr": "water", "xtra": "extra", "yog": "yogurt",
}  # fmt: skip

SIZES: Final = {
    "small": "small", "sm": "small", "sml": "small", "medium": "medium", "med": "medium", "md": "medium",
    "large": "large", "lg": "large", "lrg": "large", "lge": "large", "xl": "extra large",
    "xxl": "extra extra large", "xs": "extra small", "regular": "", "reg": "", "standard": "", "mini": "mini",
    "kid": "kid", "child": "kid", "children": "kid", "junior": "junior", "jr": "junior", "jumbo": "jumbo",
    "family": "family", "tall": "tall", "grande": "grande", "venti": "venti", "giant": "giant", "king": "king",
    "snack": "snack", "personal": "personal", "party": "party",
}  # fmt: skip
"""Regular is what one gets without asking."""

SIZE_LETTERS: Final = {"s": "small", "m": "medium", "l": "large"}

NUMBERS: Final = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "dozen": "12", "twenty": "20",
}  # fmt: skip

PIECES: Final = frozenset({"pc", "pcs", "pce", "pces", "piece", "ct", "count", "pk", "pack", "x"})

UNITS: Final = {
    "ml": ("ml", 1), "cl": ("ml", 10), "dl": ("ml", 100), "l": ("ml", 1000), "lt": ("ml", 1000),
    "ltr": ("ml", 1000), "liter": ("ml", 1000), "litre": ("ml", 1000), "oz": ("oz", 1), "ounce": ("oz", 1),
    "g": ("g", 1), "gr": ("g", 1), "gram": ("g", 1), "kg": ("g", 1000), "lb": ("lb", 1), "pound": ("lb", 1),
    "pint": ("pint", 1), "inch": ("inch", 1), "in": ("inch", 1), "cm": ("cm", 1), "percent": ("percent", 1),
    "cal": ("cal", 1),
}  # fmt: skip

CONTAINERS: Final = {"bottle": "bottle", "can": "can", "tin": "can", "glass": "glass", "carton": "carton"}

FILLERS: Final = frozenset(
    {
        "a", "an", "and", "come", "flavor", "flavored", "flavour", "flavoured", "for", "n", "of", "on", "order", "our",
        "pc", "piece", "portion", "serve", "served", "serving", "side", "size", "sized", "style", "the", "with",
    }
)  # fmt: skip

WITHOUT: Final = frozenset({"without", "no", "hold", "minus", "sans", "less", "non"})

WITHOUT_ONE: Final = "non"
"""Leaves out the next word only: non-fat yogurt is yogurt."""

NUMBERED: Final = frozenset({"no", "number", "combo", "meal", "menu", "option", "set"})
"""After one of these a number is a name, not a count."""

PHRASES: Final = {
    "0 sugar": "zero", "7 up": "7up", "aubergine": "eggplant", "bacon lettuce and tomato": "blt",
    "bacon lettuce tomato": "blt", "bar b q": "bbq", "barbecue": "bbq", "barbecued": "bbq", "barbeque": "bbq",
    "bottled": "bottle", "caffeine free": "decaf", "candy floss": "cotton candy", "canned": "can",
    "capsicum": "bell pepper", "catsup": "ketchup", "cheesy": "cheese", "chile": "chili", "chilli": "chili",
    "classic coke": "coke", "coca cola": "coke", "cocacola": "coke", "coke classic": "coke", "cold brew": "coldbrew",
    "coriander": "cilantro", "courgette": "zucchini", "decaffeinated": "decaf", "diet": "diet",
    "doctor pepper": "drpepper", "doughnut": "donut", "extra large": "xl", "extra lg": "xl", "extra small": "xs",
    "fizzy drink": "soda", "flapjack": "pancake", "frankfurter": "hot dog", "french fry": "fry",
    "garbanzo": "chickpea", "garbanzo bean": "chickpea", "gaseosa": "soda", "green onion": "spring onion",
    "grilled": "grill", "half dozen": "6", "ham burger": "burger", "hamburger": "burger", "hot cocoa": "hot chocolate",
    "ice lolly": "popsicle", "iced": "ice", "light": "diet", "lite": "diet", "mac and cheese": "macaroni cheese",
    "mac cheese": "macaroni cheese", "mac n cheese": "macaroni cheese", "mashed": "mash", "mayonaise": "mayo",
    "mayonnaise": "mayo", "mcnugget": "nugget", "mountain dew": "mountaindew", "no sugar": "zero",
    "omelette": "omelet", "pb and j": "pbj", "peanut butter and jelly": "pbj", "prawn": "shrimp",
    "quarter lb": "quarterpounder", "quarter pounder": "quarterpounder", "roasted": "roast",
    "rocket salad": "arugula salad", "roquette": "arugula", "scallion": "spring onion", "seven up": "7up",
    "single": "", "smoked": "smoke", "soda pop": "soda", "soft drink": "soda", "spiced": "spice", "spicey": "spicy",
    "sub sandwich": "sub", "submarine": "sub", "sugar free": "zero", "sugarfree": "zero", "sugarless": "zero",
    "toasted": "toast", "tomato ketchup": "ketchup", "vegetable": "veg", "vegetarian": "veg", "veggie": "veg",
    "veggy": "veg", "whipped": "whip", "wiener": "hot dog", "x large": "xl", "yellow banana": "banana",
    "yoghurt": "yogurt", "zero sugar": "zero",
}  # fmt: skip
"""Phrases of singular words and what they are called here."""

TRAITS: Final = frozenset({"diet", "zero", "decaf"})
"""Words that make another product of the same words."""

ORDER_MATTERS: Final = frozenset(
    {frozenset({"chocolate", "milk"}), frozenset({"cheese", "cream"}), frozenset({"butter", "peanut"})}
)
"""Pairs of words that name another thing the other way round: chocolate milk is no milk chocolate."""
