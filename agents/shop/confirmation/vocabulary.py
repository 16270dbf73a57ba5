"""Vocabulary: the words of a text that praises a shop and says nothing else, in plain English.

A closed list, chosen by measurement (docs/decisions/0030): what went wrong is named by a word, and none of them stands
here, nor do words that turn praise around (but, until, if, just, again, another, not). Whoever adds one measures with
`python -m benchmarks.tone` that nobody who is angry passes.
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
    a absolutely accurate advice all am an and are arrived assemble at aunt baby bag bags bed bike bikes
    birthday blanket boots bowl boy boyfriend bracelet brother by chair child children clothes coat coffee color
    colors colour colours communication completely cousin cup cushion dad daughter daughters delivered delivery
    design dress earrings easy ever everything extremely fabric fair family fast father feels fit fits flowers
    for friend friendly friends from gift girl girlfriend good granddaughter grandma grandpa grandson grinder
    has hat have her here him his home husband i i'm i've in is it it's item items its jacket jeans jewellery
    jumper kettle kids kitchen knife lamp lamps looks material materials me mom mother mug mum my necklace new
    nice nicely of on online order ordering our owned packaged packaging packed pan parents partner phone pillow
    pillows plant plants present presents pretty price prices product products professional promptly purchase
    quality quick quickly quiet range really ring safely sandals scarf selection seller service set she shipped
    shipping shirt shirts shoes shop shopping sister site size skirt sofa soft solid son sons staff store suit
    support sweater table tea team that's the their them they this to totally toy toys trainers truly uncle us
    value very warm was watch we we're we've website were wife with works your
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
    "as expected",
    "better than expected",
    "as in the picture",
    "like in the picture",
    "five stars",
    "can only recommend",
    "exactly",
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
    phrase for phrase in PHRASES if "recommend" in phrase or "buy" in phrase or "order" in phrase
)
