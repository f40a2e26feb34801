"""The next word, where what decides it was said long before."""

import numpy as np

from rnnlab.tasks.synthetic.data import Drawn, SyntheticClassificationData

LANGUAGES = {
    "China": "Chinese",
    "Denmark": "Danish",
    "England": "English",
    "Finland": "Finnish",
    "France": "French",
    "Germany": "German",
    "Greece": "Greek",
    "Hungary": "Hungarian",
    "Iceland": "Icelandic",
    "Italy": "Italian",
    "Japan": "Japanese",
    "Korea": "Korean",
    "Norway": "Norwegian",
    "Poland": "Polish",
    "Portugal": "Portuguese",
    "Romania": "Romanian",
    "Russia": "Russian",
    "Spain": "Spanish",
    "Sweden": "Swedish",
    "Turkey": "Turkish",
}

EVERYDAY = (
    "the clouds are in sky we went to school by train and my sister played piano every summer there was bread on table "
    "one day a dog followed us home then winter came with snow rain wind our garden had old trees grandfather told "
    "stories about sea ships people from town sang at night when work done she moved back"
)

CUE = ["I", "grew", "up", "in"]
QUESTION = ["I", "speak", "fluent"]

WORDS = sorted({*CUE, *QUESTION, *EVERYDAY.split(), *LANGUAGES})


class NextWordGapData(SyntheticClassificationData):
    """A cue, a gap of other words, and a question that the cue answers; with a gap of seven words:

        input    I grew up in France rain the Spain by old sea Turkey I speak fluent
        target   French

    The question of Olah (2015): "the clouds are in the sky" needs the last few words alone, this one the country. The
    words of the gap are drawn from everyday ones and from the names of countries, each as often as any other: which
    country is meant shows in its place, not in the words that occur.

    length: words of the gap.
    """

    layout = "many_to_one"
    parts = "words in the gap"

    def names(self) -> tuple[list[str], list[str]]:
        return WORDS, list(LANGUAGES.values())

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        number = {word: index for index, word in enumerate(WORDS)}
        countries = np.array([number[country] for country in LANGUAGES])
        fillers = np.array([number[word] for word in (*EVERYDAY.split(), *LANGUAGES)])
        answers = rng.integers(len(countries), size=size)
        parts = [
            np.tile([number[word] for word in CUE], (size, 1)),
            countries[answers, None],
            rng.choice(fillers, (size, length)),
            np.tile([number[word] for word in QUESTION], (size, 1)),
        ]
        return np.concatenate(parts, axis=1).astype(np.int16), answers
