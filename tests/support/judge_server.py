"""A judge on localhost, over real HTTP, that misbehaves as told and counts what it is asked.

`script` holds one behaviour per request, in order of arrival; when it is used up, `default` serves the rest:

- `good`: compares truth and answer as casefolded letters and digits, and says so in general-verifier's way;
- `echo`, `echo_prompt`: repeats the student's text, or the whole prompt, and says nothing of its own;
- `slow`, `hang`: good after `delay` seconds; silent for 60 s;
- `drip`, `drip_head`: one byte of the body, or of a header, every 50 ms without end;
- `500`, `429`, `302`, ...: that status, 429 with `Retry-After: 1`, 302 to `/elsewhere`;
- `leak`: a status 400 that repeats the `Authorization` it got;
- `garbage`, `babble`, `huge`, `cut`: no JSON; no verdict; 10 MB; a connection closed without a reply;
- `say:TEXT`: that reply.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = re.compile(r"<answer-([0-9a-f]{16})>\n(.*)\n</answer-\1>", re.DOTALL)
TRUTH = re.compile(r"### Ground Truth Answer: (.*?)\n\n### Student Answer:", re.DOTALL)


class JudgeServer(ThreadingHTTPServer):
    """Serves in a thread while it is open as a context manager.

    Attributes:
        prompts: every prompt that arrived; `requests`: (path, headers, body) of each.
        most_at_once: the highest number of requests that waited for their reply together.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, script=(), default="good", delay=0.1):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.default, self.delay = list(script), default, delay
        self.prompts, self.requests = [], []
        self.most_at_once = self.now_open = 0
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self):
        return f"http://{self.address}/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # clients that give up are part of the tests


class _Handler(BaseHTTPRequestHandler):

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.now_open += 1
            server.most_at_once = max(server.most_at_once, server.now_open)
            server.requests.append((self.path, dict(self.headers), body))
            server.prompts.append(body["messages"][-1]["content"])
            behaviour = server.script.pop(0) if server.script else server.default
        self.open = True
        try:
            self.behave(behaviour, body["messages"][-1]["content"])
        finally:
            self.close_one()

    def close_one(self):
        """Before the reply is written: once the client has it, its next request may come first."""
        with self.server.lock:
            self.server.now_open -= self.open
            self.open = False

    def behave(self, behaviour, prompt):
        if behaviour.isdigit():
            self.reply(f"status {behaviour}".encode(), int(behaviour), {
                "429": {
                    "Retry-After": "1"
                },
                "302": {
                    "Location": "/elsewhere"
                }
            }.get(behaviour, {}))
        elif behaviour == "leak":
            self.reply(f"I know {self.headers['Authorization']}".encode(), 400)
        elif behaviour == "cut":
            self.close_connection = True
        elif behaviour == "hang":
            self.server.stopped.wait(60)
        elif behaviour.startswith("drip"):
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX: " + b"\r\n\r\n" * (behaviour == "drip"))
            while not self.server.stopped.wait(0.05):
                self.wfile.write(b" ")
        elif behaviour == "garbage":
            self.reply(b"<html>welcome</html>")
        else:
            if behaviour == "slow":
                self.server.stopped.wait(self.server.delay)
            self.say(self.text(behaviour, prompt))

    def text(self, behaviour, prompt):
        if behaviour == "babble":
            return "What a lovely answer!"
        if behaviour == "huge":
            return "x" * 10_000_000
        if behaviour == "echo":
            return f"The student says:\n{BLOCK.search(prompt).group(2)}"
        if behaviour == "echo_prompt":
            return prompt
        if behaviour.startswith("say:"):
            return behaviour.removeprefix("say:")
        same = _plain(TRUTH.search(prompt).group(1)) == _plain(BLOCK.search(prompt).group(2))
        return f"I compare the two.\n\nFinal Decision: {'Yes' if same else 'No'}"

    def say(self, text):
        self.reply(json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode())

    def reply(self, data, status=200, headers=()):
        self.close_one()
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def _plain(text):
    return "".join(character for character in text.casefold() if character.isalnum())
