"""Vocabulary: the words of a text that praises a shop and says nothing else, in plain English.

A closed list, chosen by measurement (docs/decisions/0030): what went wrong is named by a word, and none of them stands
here, nor do words that turn praise around (but, until, if, just, again, another, not) or tell what happened (arrived,
they, blue: "I love the red one, they shipped blue"). Whoever adds one measures with `python -m benchmarks.tone` that
nobody who is angry passes.
"""

from __future__ import annotations

from typing import Final


def _words(lines: str) -> frozenset[str]:
    return frozenset(lines.split())


#: Words that praise.
PRAISING: Final = _words("""
    adore adores amazing awesome beautiful beautifully best brilliant charming comfortable delicious delighted
    delightful excellent exceptional fabulous fantastic favorite favourite flawless flawlessly gorgeous great
    happy helpful impressed incredible incredibly love loved lovely loves magnificent marvellous outstanding
    perfect perfectly pleased pleasure reliable satisfied splendid stunning sturdy stylish super superb terrific
    thrilled top-notch wonderful wonderfully
""")

#: What else may stand beside them: about whom and what, and how much. "nice", "good", "fast" praise too little alone.
HARMLESS: Final = _words("""
    a absolutely accurate advice all am an and are assemble aunt baby bag bags bed bike bikes blanket book books
    boots bowl boy boyfriend bracelet bright brother by cable camera case chair charger child children clean
    clothes coat coffee color colorful colors colour colourful colours communication company completely cousin
    cover cup curtains cushion customer dad daughter daughters delivery design designs desk dress earrings easy
    ever everybody everyone everything excited experience extremely fabric fair family fast father feel feels
    fit fits fitted flowers for friend friendly friends from fun game games gift girl girlfriend glasses good
    granddaughter grandma grandpa grandson grinder has hat have he he's headphones her here him his husband i
    i'm i've in is it it's item items its jacket jeans jewellery jumper kettle kids kitchen knife lamp lamps
    lampshade laptop lightweight look looks material materials mattress me mirror mom mother mug mum my necklace
    new nice nicely of on online order ordering our outfit packaged packaging packed pan parents partner people
    picture pictures pillow pillows plant plants precise present presents pretty price prices printer product
    products professional promptly purchase quality quick quickly quiet radio range really ring rug safely
    sandals scarf scooter selection seller service set she she's shelf shipping shirt shirts shoes shop shopping
    simple sister site skirt smooth socks sofa soft solid son sons sound sounds speaker staff store strong style
    such suit support sweater table tablet taste tea team tent texture that's the their them these this those
    tidy tools totally toy toys trainers trousers truly uncle us useful value vase very wallet warm was watch we
    we're we've website were wife with works your
""")

#: Phrases whose words do not stand above, because alone they do not praise.
PHRASES: Final = (
    "thank you so much",
    "thanks so much",
    "so happy",
    "so pleased",
    "well packed",
    "well packaged",
    "fits well",
    "works well",
    "very well",
    "thank you very much",
    "thank you",
    "many thanks",
    "thanks",
    "a pleasure to deal with",
    "as described",
    "as pictured",
    "on time",
    "very much",
    "from start to finish",
    "from beginning to end",
    "exactly what i needed",
    "exactly what i wanted",
    "exactly as described",
    "exactly as pictured",
    "easy to assemble",
    "birthday present",
    "i have ever owned",
    "i have owned",
    "delivered quickly",
    "delivered promptly",
    "delivered on time",
    "quickly delivered",
    "arrived quickly",
    "arrived promptly",
    "arrived safely",
    "arrived on time",
    "arrived well packed",
    "arrived nicely packed",
    "in perfect condition",
    "in great condition",
    "perfect size",
    "great price",
    "everything about",
    "in love with",
    "value for money",
    "could not be happier",
    "couldn't be happier",
    "would recommend to everyone",
    "highly recommend to everyone",
    "as expected",
    "better than expected",
    "as in the picture",
    "like in the picture",
    "five stars",
    "can only recommend",
    "highly recommend",
    "highly recommended",
    "i recommend",
    "would recommend",
    "will recommend",
    "will definitely order again",
    "will definitely buy again",
    "will order again",
    "will buy again",
    "would order again",
    "would buy again",
    "would happily buy from you again",
    "no complaints",
    "no complaints at all",
    "no issues at all",
    "no issues",
    "no problems at all",
    "no problems whatsoever",
    "no problems",
)
#: Those of them that praise by themselves.
PRAISING_PHRASES: Final = frozenset(
    phrase
    for phrase in PHRASES
    if any(word in phrase for word in ("recommend", "buy", "order", "happier", "perfect", "great"))
)
