"""A Python worker that an engine starts as a process of its own (--environment_type=PROCESS)."""

import argparse

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker.sdk_worker import SdkHarness
from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor


def control_endpoint(provision_endpoint: str, worker: str) -> str:
    """Ask the engine where the worker gets its work."""
    with grpc.insecure_channel(provision_endpoint) as channel:
        named = grpc.intercept_channel(channel, WorkerIdInterceptor(worker))
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(named)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()  # type: ignore[attr-defined]
        return service.GetProvisionInfo(request, timeout=60).info.control_endpoint.url


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    given, _ = parser.parse_known_args()
    SdkHarness(control_endpoint(given.provision_endpoint, given.id), worker_id=given.id).run()
