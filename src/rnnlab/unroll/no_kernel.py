"""What every backend says of a step that it makes no kernel of."""

import logging


class NoKernel(Exception):
    """There is no kernel of a step, and the message says why: it runs in chunks of torch's operations instead.

    level: of the line in the log that says so.
    """

    level = logging.INFO
