import os

# Tests share two cores with what they test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Each run talks in a domain of its own, so that two suites on one machine don't hear each other.
os.environ.setdefault("ROS_DOMAIN_ID", str(os.getpid() % 100 + 1))
