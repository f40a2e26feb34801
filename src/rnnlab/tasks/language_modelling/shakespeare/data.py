"""The next character of Shakespeare's plays."""

from rnnlab.tasks.language_modelling.data import LanguageModellingData


class ShakespeareData(LanguageModellingData):
    """The next character of a play, after all those before it:

        input    T o   b e ,   o r   n o t
        target   o   b e ,   o r   n o t ↵

    Of the tragedies, which is what is read by default, the last tenth is most of Timon of Athens. Of tiny Shakespeare
    it is the part that others validate on, and the training part is shorter than theirs by the validation part.
    """
