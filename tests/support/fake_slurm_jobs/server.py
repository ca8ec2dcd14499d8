"""An OpenAI-compatible server that answers at once; its answers tell prompt and seed. With FAKE_SLURM_DIE_AFTER=k it
kills its process group, that is the whole job, in the midst of the answer k.
"""
import argparse
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._reply(200, {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        time.sleep(self.server.delay)
        with self.server.lock:
            self.server.answered += 1
            if self.server.answered > self.server.die_after:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
                self.wfile.flush()
                os.killpg(0, signal.SIGKILL)
        if "cut short" in prompt:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            self.close_connection = True
            return
        if "too long" in prompt:
            self._reply(400, {"error": {"message": "the prompt is too long"}})
            return
        text = f"{prompt} / {body['seed']}"
        choice = {"message": {"content": text}} if "messages" in body else {"text": text}
        self._reply(200, {"choices": [choice | {"finish_reason": "stop"}], "usage": {"completion_tokens": 3}})

    def _reply(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port=0, delay=0.0):
        super().__init__(("127.0.0.1", port), Handler)
        self.delay, self.answered, self.lock = delay, 0, threading.Lock()
        self.die_after = int(os.environ.get("FAKE_SLURM_DIE_AFTER", 10**9))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    flags = parser.parse_args()
    FakeServer(flags.port, flags.delay).serve_forever()
