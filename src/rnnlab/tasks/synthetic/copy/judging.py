"""How copies are judged: beside the usual metrics by the loss of the literature."""

from rnnlab.tasks.synthetic.copy.data import CopyData
from rnnlab.tasks.synthetic.judging import SyntheticClassificationJudging


class CopyJudging(SyntheticClassificationJudging):
    """Beside the metrics of every such task, `loss_over_all`: the mean over all T + 20 timesteps, as in the literature,
    with the blanks that are due before the symbols for certain; 10 ln 8 / (T + 20) where nothing is remembered.
    """

    task: CopyData

    def further_metrics(self, length: int, found: dict[str, float]) -> dict[str, float]:
        """loss_over_all  the cross-entropy of the literature, see above"""
        return {"loss_over_all": found["nll"] * self.task.items / (length + 2 * self.task.items)}
