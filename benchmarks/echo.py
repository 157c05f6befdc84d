"""A bare `grpc.aio` echo: constant bytes, uvloop, nothing else. What the door alone allows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server_process import child_environment, free_ports

from .loadgen import LoadGenerator, build_load_generator

METHOD = "/weaviate.v1.Weaviate/Search"
REPLY_BYTES = 1000


async def serve(port: int) -> None:
    """Answer every call with the same bytes until killed."""
    import grpc

    reply = b"\0" * REPLY_BYTES

    async def handle(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return reply

    class Door(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(handle)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Door(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


@contextmanager
def echo_server() -> Iterator[LoadGenerator]:
    """Run the echo in a process of its own; yields a load generator on it."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.echo", str(port)],
        stdout=subprocess.PIPE, env=child_environment({}), cwd=Path(__file__).parents[1],
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"ready", "the echo server did not start"
        time.sleep(0.1)
        yield LoadGenerator(build_load_generator(), f"127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Serve on the port given."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
