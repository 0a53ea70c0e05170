import os
import signal

# Tests share two cores with what they test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Each run talks in a domain of its own, so that two suites on one machine don't hear each other.
os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
# A shell starts what is in the background deaf to Ctrl-C, and what tests start would be so too.
signal.signal(signal.SIGINT, signal.default_int_handler)
