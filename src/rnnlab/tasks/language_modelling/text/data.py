"""The next character, or byte, of a user's own text."""

from rnnlab.tasks.language_modelling.data import LanguageModellingData


class TextData(LanguageModellingData):
    """The next character of a text, or the next byte of any file, after all those before it:

        unit=character   input    G r ü ß e        target   r ü ß e !
        unit=byte        input    47 72 c3 bc c3   target   72 c3 bc c3 9f

    The file may be larger than memory: it is read in pieces, and its tokens are mapped.
    """
