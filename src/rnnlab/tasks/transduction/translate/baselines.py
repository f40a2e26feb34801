"""What translates without a net."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnnlab.tasks.baselines.baselines import Baselines, Predict
from rnnlab.tasks.task import Split
from rnnlab.tasks.transduction.translate.data import WORD, TranslateData
from rnnlab.tasks.transduction.translate.judging import TranslateJudging
from rnnlab.tasks.transduction.translate.templates import templates


class TranslateBaselines(Baselines):
    """What stands for the source, of a date without its locale.

    templates: of dates alone, where in a text the year, the month and the day stand, counted by locale and shape; it
    knows that there are these three, see `templates`. dictionary: each word becomes the one that most often stands
    opposite it in training, see `dictionary`; of a date, joined by hyphens. copy: the source as it is. nearest: the
    target of the training source that is most alike, by the cosine of their characters' n-grams, n up to 3, weighed by
    tf-idf.
    """

    task: TranslateData
    judging: TranslateJudging
    trivial: ClassVar[str] = "copy"

    def fitted(self) -> dict[str, Predict]:
        targets = self.task.texts("train")[1]
        sources = self._sources("train")
        words, alike = dictionary(sources, targets), most_alike(sources)

        def translated(split: Split) -> pd.DataFrame:
            asked = self._sources(split)
            if self.task.source == "dates":
                found = ["-".join(words(word) for word in WORD.findall(text)) for text in asked]
            else:
                found = [WORD.sub(lambda match: words(match[0]), text) for text in asked]
            return self.judging.table(found, split)

        def nearest(split: Split) -> pd.DataFrame:
            return self.judging.table([targets[index] for index in alike(self._sources(split))], split)

        return {
            **self._templates(),
            "dictionary": translated,
            "copy": lambda split: self.judging.table(self._sources(split), split),
            "nearest": nearest,
        }

    def _templates(self) -> dict[str, Predict]:
        if self.task.source != "dates":
            return {}
        translate = templates(*self.task.texts("train"))
        return {"templates": lambda split: self.judging.table(list(map(translate, self.task.texts(split)[0])), split)}

    def _sources(self, split: Split) -> list[str]:
        sources, _ = self.task.texts(split)
        return [text.partition(" ")[2] for text in sources] if self.task.source == "dates" else sources


def dictionary(sources: list[str], targets: list[str]) -> Callable[[str], str]:
    """For a word s of the sources, the word t of the targets with the highest 2 c(s, t) / (c(s) + c(t)) (Dice 1945).

    c: in how many pairs they stand. Of several t, it is the most frequent; a word that no source has stays as it is.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counters = [
        CountVectorizer(tokenizer=WORD.findall, token_pattern=None, lowercase=False, binary=True) for _ in range(2)
    ]
    in_sources, in_targets = (
        counter.fit_transform(side).astype(np.float64)
        for counter, side in zip(counters, (sources, targets), strict=True)
    )
    of_source, of_target = (np.asarray(side.sum(axis=0)).ravel() for side in (in_sources, in_targets))
    together = (in_sources.T @ in_targets).tocsr()
    words = counters[1].get_feature_names_out()
    found = {}
    for word, row in counters[0].vocabulary_.items():
        columns = together.indices[together.indptr[row] : together.indptr[row + 1]]
        counts = together.data[together.indptr[row] : together.indptr[row + 1]]
        if len(columns):
            score = 2 * counts / (of_source[row] + of_target[columns])
            found[word] = str(words[columns[np.lexsort((words[columns], -of_target[columns], -score))[0]]])
    return lambda word: found.get(word, word)


def most_alike(known: list[str]) -> Callable[[list[str]], NDArray[np.int64]]:
    """For texts that are asked, the index of the known text that is most alike to each."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False, sublinear_tf=True, dtype=np.float32)
    x = vectors.fit_transform(known).T.tocsc()

    def of(asked: list[str]) -> NDArray[np.int64]:
        queries = vectors.transform(asked)
        rows = [queries[first : first + 256] @ x for first in range(0, len(asked), 256)]
        return np.concatenate([np.asarray(row.argmax(axis=1)).ravel() for row in rows])

    return of
