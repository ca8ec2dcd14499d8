"""A small SandboxFusion server: really runs the code, in a plain subprocess. For tests only."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def run_code(request):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "main.py"
        file.write_text(request["code"], errors="replace")
        limit = f"ulimit -v {request['memory_limit_MB'] * 1024}; ulimit -f 65536; exec \"$0\" \"$@\""
        process = subprocess.Popen(["bash", "-c", limit, sys.executable, str(file)], cwd=folder,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)  # yapf: disable
        start = time.monotonic()
        try:
            out, err = process.communicate(request["stdin"].encode(), request["run_timeout"])
            result = {"status": "Finished", "return_code": process.returncode}
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            result = {"status": "TimeLimitExceeded", "return_code": None}
    result |= {"stdout": out.decode(errors="replace"), "stderr": err.decode(errors="replace"),
               "execution_time": time.monotonic() - start}  # yapf: disable
    return {"status": "Success" if result["return_code"] == 0 else "Failed", "message": "", "compile_result": None,
            "run_result": result, "executor_pod_name": None, "files": {}}  # yapf: disable


class Server(ThreadingHTTPServer):
    """`failures`: how many requests are answered by an error first."""

    def __init__(self, failures=0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures = failures
        self.requests = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests += 1
        if self.server.requests <= self.server.failures:
            self.send_error(503)
            return
        assert (self.path, request["language"]) == ("/run_code", "python")
        body = json.dumps(run_code(request)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass
