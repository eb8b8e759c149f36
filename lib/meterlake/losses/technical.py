"""What physics takes between a supply meter and its customers; transforms/mart_energy_balance.py has it in Spark."""

import numpy as np
from numpy.typing import NDArray

from meterlake.sources.source import TechnicalLoss

Floats = NDArray[np.float64]


def technical_loss(supplied: Floats, mean: Floats | float, loss: TechnicalLoss) -> Floats:
    """kWh lost in each hour: fixed_share M + i2r_share P^2 / M; only the first where nothing is supplied.

    Args:
        supplied: P, kWh of each hour.
        mean: M, kWh of a mean hour; of a shape that fits P.
    """
    squared = np.asarray(loss.i2r_share * supplied**2)
    return loss.fixed_share * mean + np.divide(squared, mean, out=np.zeros_like(squared), where=np.asarray(mean) > 0)
