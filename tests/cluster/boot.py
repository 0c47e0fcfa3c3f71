"""A Python worker that an engine starts as a process of its own (--environment_type=PROCESS)."""

import argparse

from apache_beam.runners.worker.sdk_worker import SdkHarness

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--control_endpoint", required=True)
    given, _ = parser.parse_known_args()
    SdkHarness(given.control_endpoint, worker_id=given.id).run()
