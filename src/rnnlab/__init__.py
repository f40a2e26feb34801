"""Which recurrent cell should I use for this sequence problem, and how sure are we?"""

__version__ = "0.1.0"
