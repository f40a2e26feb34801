"""Sentences with the tag of each word, drawn from a small grammar of English: no corpus, and no one's text.

Many of its words are several parts of speech, and only the words around them tell which: "they know that dogs like that
light .", "that light works .", "can the can fly like a saw ?". Every now and then a word is made up, as "the
bartolness", so that a test meets words that training never had.
"""

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from rnnlab.errors import UserError

SEED = 0
DEEPEST = 7
"""Below this depth of a sentence's tree, each symbol becomes the first of what it may become."""

MADE_UP = 0.15
"""The share of made-up words among those of the classes of `ENDINGS`."""

TRIES = 20
"""Draws for each sentence asked for, before it is said that the grammar has too few."""

# a symbol, a weight, and what it becomes; a line with # stands for the singular (s) and the plural (p)
RULES = """
S         6  CLAUSE ./PUNCT
S         1  CLAUSE ,/PUNCT conjunction CLAUSE ./PUNCT
S         1  subordinator CLAUSE ,/PUNCT CLAUSE ./PUNCT
S         1  CLAUSE subordinator CLAUSE ./PUNCT
S         1  modal NP.s VB ?/PUNCT
S         1  modal NP.p VB ?/PUNCT
CLAUSE    3  NP.s VP.s
CLAUSE    2  NP.p VP.p
NP.#      2  pronoun.#
NP.#      4  FULL.#
OBJECT    1  object
OBJECT    3  FULL.s
OBJECT    2  FULL.p
FULL.#    6  determiner.# noun.#
FULL.#    3  determiner.# adjective noun.#
FULL.#    1  determiner.# noun.s noun.#
FULL.#    1  FULL.# PP
FULL.#    1  determiner.# noun.# that/PRON VP.#
FULL.#    1  determiner.# noun.# that/PRON NP.s transitive.s
FULL.s    2  name
FULL.p    2  noun.p
FULL.p    1  number noun.p
FULL.p    1  adjective noun.p
PP        1  preposition OBJECT
VP.#      3  intransitive.#
VP.#      5  transitive.# OBJECT
VP.#      1  transitive.# OBJECT PP
VP.#      1  intransitive.# PP
VP.#      2  intransitive.# adverb
VP.#      1  adverb intransitive.#
VP.#      2  modal VB
VP.#      1  do.# not/PART VB
VP.#      2  be.# adjective
VP.#      2  saying.# that/SCONJ CLAUSE
VP.#      1  saying.# CLAUSE
VP.#      2  wanting.# to/PART VB
VP.#      1  intransitive.past
VP.#      2  transitive.past OBJECT
VP.#      1  saying.past that/SCONJ CLAUSE
VP.#      1  wanting.past to/PART VB
VB        2  intransitive.p
VB        3  transitive.p OBJECT
VB        1  intransitive.p adverb
VB        1  intransitive.p PP
"""

# a class of words, its tag, and its words, the frequent ones first
LEXICON = """
noun.s            NOUN  dog light man fish plan saw can cat ship work watch back round play well help book drink
noun.p            NOUN  dogs flies lights plans men works fish saws cans ships watches plays rounds books drinks backs
name              PROPN Anna Will Mark Rose London Bill Grace May Paris Frank Hope
adjective         ADJ   old light cold round young red fast hard well early open back clean dry
adverb            ADV   well fast back then hard often early now so
number            NUM   two three four seven ten
pronoun.s         PRON  she he it
pronoun.p         PRON  they we you I
object            PRON  them it her him us me you
determiner.s      DET   the a that this every no
determiner.p      DET   the those some these no all
preposition       ADP   in like to with on by after near before round since
subordinator      SCONJ because if when after so since before as
conjunction       CCONJ and but or
modal             AUX   can will may must
do.s              AUX   does did
do.p              AUX   do did
be.s              AUX   is was
be.p              AUX   are were
intransitive.s    VERB  sleeps works flies walks plays drinks
intransitive.p    VERB  sleep work fly walk play drink
intransitive.past VERB  slept worked walked
transitive.s      VERB  likes sees plans watches lights helps backs cans rounds books
transitive.p      VERB  like see plan watch light help back clean can open dry round book
transitive.past   VERB  saw liked planned helped opened backed rounded
saying.s          VERB  says knows thinks hopes
saying.p          VERB  say know think hope see
saying.past       VERB  said saw hoped
wanting.s         VERB  wants plans likes hopes
wanting.p         VERB  want plan like hope
wanting.past      VERB  wanted planned hoped
"""

# how a made-up word of a class may end: some endings tell the tag, some do not
ENDINGS = {
    "noun.s": ("", "ness", "tion", "er"),
    "noun.p": ("s", "ers", "tions"),
    "name": ("", "son", "ville"),
    "adjective": ("", "ish", "ful"),
    "adverb": ("ly",),
    "transitive.s": ("s", "izes"),
    "transitive.p": ("", "ize"),
    "transitive.past": ("ed", "ized"),
    "intransitive.s": ("s",),
    "intransitive.past": ("ed",),
}
ONSETS = ("b", "bl", "d", "dr", "f", "g", "gr", "k", "m", "n", "p", "pl", "r", "s", "st", "t", "tr", "v", "z")
RHYMES = ("an", "em", "ick", "im", "ob", "ol", "on", "ug", "um", "ar")


class Sentence(NamedTuple):
    """words and tags, one for each word; document: the number of the one that it stands in, from 1, 0 where none is
    named."""

    words: list[str]
    tags: list[str]
    document: int = 0


class _Choice(NamedTuple):
    """What a symbol may become, with weights summed up."""

    options: list[list[str]]
    weights: list[float]


def generate(size: int) -> list[Sentence]:
    """The first `size` different sentences that are drawn.

    Raises: `UserError` where there are not so many.
    """
    rng = random.Random(SEED)  # noqa: S311 - no secret, and the same everywhere
    rules, lexicon = _rules(), _lexicon()
    found: dict[tuple[str, ...], Sentence] = {}
    for _ in range(TRIES * size):
        pairs = list(_expand("S", 0, rng, rules, lexicon))
        words, tags = [word for word, _ in pairs], [tag for _, tag in pairs]
        found.setdefault(tuple(words), Sentence(words, tags))
        if len(found) == size:
            return list(found.values())
    raise UserError(f"task.sentences={size}: the grammar gave {len(found)} different ones only: ask for fewer.")


def _expand(
    symbol: str, depth: int, rng: random.Random, rules: dict[str, _Choice], lexicon: dict[str, tuple[str, _Choice]]
) -> Iterator[tuple[str, str]]:
    """The words that a symbol becomes, each with its tag."""
    if symbol in rules:
        options, weights = rules[symbol]
        chosen = options[0] if depth >= DEEPEST else rng.choices(options, cum_weights=weights)[0]
        for part in chosen:
            yield from _expand(part, depth + 1, rng, rules, lexicon)
    elif symbol in lexicon:
        tag, (options, weights) = lexicon[symbol]
        if symbol in ENDINGS and rng.random() < MADE_UP:
            yield _made_up(symbol, rng), tag
        else:
            yield rng.choices(options, cum_weights=weights)[0][0], tag
    else:
        word, _, tag = symbol.partition("/")
        yield word, tag


def _made_up(symbol: str, rng: random.Random) -> str:
    stem = "".join(rng.choice(ONSETS) + rng.choice(RHYMES) for _ in range(rng.choice((1, 2))))
    word = stem + rng.choice(ENDINGS[symbol])
    return word.capitalize() if symbol == "name" else word


def _rules() -> dict[str, _Choice]:
    found: dict[str, _Choice] = {}
    for line in RULES.strip().splitlines():
        for number in "sp" if "#" in line else "-":
            symbol, weight, *becomes = line.replace("#", number).split()
            options, weights = found.setdefault(symbol, _Choice([], []))
            options.append(becomes)
            weights.append(float(weight) + (weights[-1] if weights else 0))
    return found


def _lexicon() -> dict[str, tuple[str, _Choice]]:
    """The n-th word of a class is drawn with a weight of 1/n (Zipf)."""
    found = {}
    for line in LEXICON.strip().splitlines():
        symbol, tag, *words = line.split()
        weights = list(accumulate(1 / (rank + 1) for rank in range(len(words))))
        found[symbol] = (tag, _Choice([[word] for word in words], weights))
    return found
