import os
import signal
from pathlib import Path

import pytest

# Tests share two cores with what they test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Each process of tests talks in a domain of its own, away from whatever graphs run on this machine. Ports of domains
# above 101 clash with those of outgoing connections.
os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
# A shell starts what is in the background deaf to Ctrl-C, and what tests start would be so too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video model of two tasks with random weights, without a background."""
    from tests.viper_model.examples import save_model  # torch, which tests of environments do without

    folder = tmp_path_factory.mktemp("model")
    save_model(folder)
    return folder
